// What the JavaScript drivers share: the scene they are told, the lines they print, the commands they obey; see lines.py.
'use strict';

const readline = require('node:readline');

exports.scene = JSON.parse(process.env.SCENE);

// Print one thing that the library told.
exports.saw = (kind, fields = {}) => {
    process.stdout.write(`${JSON.stringify({ saw: kind, ...fields })}\n`);
};

// An error in one line; its cause too, because some libraries put what Twitch said only there.
exports.wordsOf = function wordsOf(error) {
    if (!(error instanceof Error)) {
        return String(error);
    }
    const own = `${error.name}: ${error.message}`;
    return error.cause ? `${own} <- ${wordsOf(error.cause)}` : own;
};

// Carry out commands until the input ends: say(channel, text) and reply(channel, messageId, text) are the library's.  What they
// resolve to is a reason for which the message was not sent (nothing: sent); what they reject with was told to the bot.
exports.obey = ({ say, reply }) => {
    const input = readline.createInterface({ input: process.stdin });
    input.on('line', async (line) => {
        const order = JSON.parse(line);
        const { n, channel, text } = order;
        try {
            const reason = order.do === 'reply' ? await reply(channel, order.to, text) : await say(channel, text);
            if (reason) {
                exports.saw('refused', { n, channel, reason });
            } else {
                exports.saw('sent', { n });
            }
        } catch (error) {
            exports.saw('refused', { n, channel, reason: exports.wordsOf(error) });
        }
    });
    input.on('close', () => process.exit(0));
};

// A bot would go on after a promise that nobody awaited; so does the driver, and says so.
process.on('unhandledRejection', (error) => exports.saw('error', { reason: exports.wordsOf(error) }));
process.on('uncaughtException', (error) => exports.saw('error', { reason: exports.wordsOf(error) }));
