// tmi.js as its documentation shows it, over a WebSocket.
//
// Pointed at the fake by its own options (server, port, secure).  With secure it takes port 443 whatever the option says, so that
// under TLS the port stands in the server's name, and its own ":443/" falls into the query.  The fetching of emote sets is off: it would call the internet.
// The library has no call for replies; what its users write instead is a raw line with the tag.
'use strict';

const tmi = require('tmi.js');
const { scene, saw, obey } = require('./lines.js');

const address = new URL(scene.irc_ws);
const client = new tmi.Client({
    options: { debug: false, skipUpdatingEmotesets: true, joinInterval: 300 },
    connection: {
        server: scene.tls ? `${address.host}/irc?` : address.hostname,
        port: Number(address.port),
        secure: scene.tls,
        reconnect: true,
    },
    identity: { username: scene.login, password: `oauth:${scene.token}` },
    channels: scene.channels.map((channel) => channel.login),
});

client.on('connected', () => saw('ready'));
client.on('disconnected', (reason) => saw('closed', { reason }));
client.on('reconnect', () => saw('reconnect'));
client.on('join', (channel, username, self) => {
    if (self) {
        saw('joined', { channel: channel.slice(1) });
    }
});
client.on('message', (channel, tags, text, self) => {
    if (!self) {
        saw('message', { channel: channel.slice(1), login: tags.username, text, id: tags.id });
    }
});
client.on('notice', (channel, id, text) => saw('refused', { channel: channel.slice(1), reason: `${id}: ${text}` }));

obey({
    say: async (channel, text) => {
        await client.say(channel, text);
    },
    reply: async (channel, messageId, text) => {
        await client.raw(`@reply-parent-msg-id=${messageId} PRIVMSG #${channel} :${text}`);
    },
});
client.connect().catch((error) => saw('error', { reason: String(error) }));
