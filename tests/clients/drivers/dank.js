// @mastondzn/dank-twitch-irc over TCP, which its own options point at the fake (its WebSocket transport fails on Node 20).
'use strict';

const { ChatClient } = require('@mastondzn/dank-twitch-irc');
const { scene, saw, obey, wordsOf } = require('./lines.js');

const client = new ChatClient({
    username: scene.login,
    password: scene.token,
    rateLimits: 'default',
    connection: { type: 'tcp', secure: scene.tls, host: scene.irc.host, port: scene.irc.port },
});

client.on('ready', () => saw('ready'));
client.on('reconnect', () => saw('reconnect'));
client.on('close', (error) => saw('closed', { reason: error ? wordsOf(error) : '' }));
client.on('error', (error) => saw('error', { reason: wordsOf(error) }));
client.on('JOIN', (message) => {
    if (message.joinedUsername === scene.login) {
        saw('joined', { channel: message.channelName });
    }
});
client.on('PRIVMSG', (message) =>
    saw('message', {
        channel: message.channelName,
        login: message.senderUsername,
        text: message.messageText,
        id: message.messageID,
    }),
);
client.on('NOTICE', (message) =>
    saw('refused', { channel: message.channelName, reason: `${message.messageID}: ${message.messageText}` }),
);

obey({
    say: (channel, text) => client.say(channel, text),
    reply: (channel, messageId, text) => client.reply(channel, messageId, text),
});
client
    .connect()
    .then(() => client.joinAll(scene.channels.map((channel) => channel.login)))
    .catch((error) => saw('error', { reason: wordsOf(error) }));
