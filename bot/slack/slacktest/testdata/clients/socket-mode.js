// Socket Mode alone. It prints every state of the connection and every envelope,
// and acknowledges as the command's text asks.
const { SocketModeClient } = require('@slack/socket-mode');

const said = (...words) => console.log(words.join(' '));
const client = new SocketModeClient({
  appToken: process.env.SLACK_APP_TOKEN,
  logLevel: 'error',
  clientPingTimeout: 1500, // and so long it waits before it connects again
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

for (const state of ['connected', 'reconnecting', 'disconnected']) client.on(state, () => said(state));
client.on('slash_commands', async ({ ack, body }) => {
  said('command', body.text);
  if (body.text === 'silent') return;
  await ack({ text: body.text === 'huge' ? 'x'.repeat(20480) : `heard ${body.text}` });
});
client.on('interactive', async ({ ack, body }) => {
  said('interactive', body.type, body.actions[0].action_id);
  await ack();
});
const tries = [];
client.on('slack_event', async ({ ack, type, retry_num: attempt, retry_reason: reason, body }) => {
  if (type !== 'events_api') return;
  tries.push(`${attempt}${reason ? ` ${reason}` : ''}`);
  said('event', body.event.type, tries.at(-1));
  if (attempt > 0) await ack();
});

client.start();
process.stdin.resume().on('end', async () => {
  await client.disconnect();
  process.exit(0);
});
