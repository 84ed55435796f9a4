// tmi.js 1.8.5 answering "!echo N" with "pong N", for benchmarks/throughput.py.
//
// Started by peers/environments.py with NODE_PATH at the folder that holds the library.  Its logger and the fetching of emote
// sets are off (the second would call the internet); tmi.js keeps no rate limit for messages, so none had to be bypassed.
'use strict';

const tmi = require('tmi.js');

const client = new tmi.Client({
    options: { debug: false, skipUpdatingEmotesets: true, joinInterval: 300 },
    connection: { server: process.env.CHAT_HOST, port: Number(process.env.CHAT_PORT), secure: false, reconnect: false },
    identity: { username: 'byte_test_bot', password: 'oauth:none' },
    channels: process.env.CHAT_CHANNELS.split(','),
});

client.on('message', (channel, tags, message, self) => {
    if (self || !message.startsWith('!echo ')) {
        return;
    }
    client.say(channel, `pong ${message.slice(6)}`).catch((error) => console.error(error));
});

client.connect().catch((error) => {
    console.error(error);
    process.exit(1);
});
