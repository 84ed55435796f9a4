// @twurple/chat with a static token, over a WebSocket.
//
// hostName has no room for a port or a path, and what is written there becomes part of an address: "HOST:PORT/irc?" makes one that
// works (the library's own ":80" falls into the query).  TWURPLE_MOCK_API_PORT, set by the harness, is the library's own
// switch for OAuth.
'use strict';

const { StaticAuthProvider } = require('@twurple/auth');
const { ChatClient } = require('@twurple/chat');
const { scene, saw, obey, wordsOf } = require('./lines.js');

const client = new ChatClient({
    authProvider: new StaticAuthProvider(scene.client_id, scene.token, scene.scopes),
    channels: scene.channels.map((channel) => channel.login),
    hostName: `${new URL(scene.irc_ws).host}/irc?`,
    ssl: scene.tls,
    rejoinChannelsOnReconnect: true,
    logger: { minLevel: 'error' },
});

client.onAuthenticationSuccess(() => saw('ready'));
client.onAuthenticationFailure((text) => saw('error', { reason: text }));
client.onTokenFetchFailure((error) => saw('error', { reason: wordsOf(error) }));
client.onDisconnect((manually, reason) => saw('closed', { reason: reason ? wordsOf(reason) : '' }));
client.onJoin((channel, user) => {
    if (user === scene.login) {
        saw('joined', { channel });
    }
});
client.onJoinFailure((channel, reason) => saw('refused', { channel, reason }));
client.onMessage((channel, user, text, message) => saw('message', { channel, login: user, text, id: message.id }));
client.onMessageFailed((channel, reason) => saw('refused', { channel, reason }));
client.onMessageRatelimit((channel, text) => saw('refused', { channel, reason: `msg_ratelimit: ${text}` }));
client.onNoPermission((channel, text) => saw('refused', { channel, reason: `no_permission: ${text}` }));

obey({
    say: (channel, text) => client.say(channel, text),
    reply: (channel, messageId, text) => client.say(channel, text, { replyTo: messageId }),
});
client.connect();
