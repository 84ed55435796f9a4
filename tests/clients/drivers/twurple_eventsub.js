// @twurple/eventsub-ws and @twurple/api with a token that is refreshed.
//
// TWURPLE_MOCK_API_PORT, set by the harness, is the libraries' own switch: it takes OAuth, Helix and the socket to that port.
'use strict';

const { ApiClient } = require('@twurple/api');
const { RefreshingAuthProvider } = require('@twurple/auth');
const { EventSubWsListener } = require('@twurple/eventsub-ws');
const { scene, saw, obey, wordsOf } = require('./lines.js');

const authProvider = new RefreshingAuthProvider({ clientId: scene.client_id, clientSecret: scene.client_secret });
authProvider.addUser(scene.user_id, {
    accessToken: scene.token,
    refreshToken: scene.refresh_token,
    scope: scene.scopes,
    expiresIn: null,
    obtainmentTimestamp: Date.now(),
});
const apiClient = new ApiClient({ authProvider, logger: { minLevel: 'error' } });
const listener = new EventSubWsListener({ apiClient, logger: { minLevel: 'error' } });
const ids = Object.fromEntries(scene.channels.map((channel) => [channel.login, channel.id]));

listener.onUserSocketConnect(() => saw('ready'));
listener.onUserSocketDisconnect((userId, error) => saw('closed', { reason: error ? wordsOf(error) : '' }));
listener.onSubscriptionCreateSuccess((subscription) => saw('subscribed', { id: subscription.id }));
listener.onSubscriptionCreateFailure((subscription, error) => saw('error', { reason: wordsOf(error) }));
listener.onRevoke((subscription, status) => saw('revoked', { id: subscription.id, status }));

for (const channel of scene.channels) {
    const subscription = listener.onChannelChatMessage(channel.id, scene.user_id, (event) =>
        saw('message', {
            channel: event.broadcasterName,
            login: event.chatterName,
            text: event.messageText,
            id: event.messageId,
        }),
    );
    listener.onSubscriptionCreateSuccess((made) => {
        if (made === subscription) {
            saw('joined', { channel: channel.login });
        }
    });
}

async function send(channel, text, params) {
    const result = await apiClient.asUser(scene.user_id, (api) => api.chat.sendChatMessage(ids[channel], text, params));
    return result.isSent ? '' : `${result.dropReasonCode}: ${result.dropReasonMessage}`;
}

obey({
    say: (channel, text) => send(channel, text),
    reply: (channel, messageId, text) => send(channel, text, { replyParentMessageId: messageId }),
});
listener.start();
