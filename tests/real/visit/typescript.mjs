// Visits servers with the TypeScript SDK; the mode is `legacy`, `auto` or a revision. See README.md beside it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const mode = process.argv[2];
const plans = JSON.parse(process.env.VISITS);
const seen = [];
for (const plan of plans) {
  const tooLong = sleep(20_000, { error: 'this takes too long' });
  seen.push(await Promise.race([visit(plan).catch((error) => ({ error: error.stack ?? String(error) })), tooLong]));
}
console.log(JSON.stringify(seen));
process.exit(0);

async function visit(plan) {
  const negotiation = ['legacy', 'auto'].includes(mode) ? mode : { pin: mode };
  const client = new Client(
    { name: 'visitor', version: '1.0.0' },
    { capabilities: { elicitation: {}, sampling: {} }, versionNegotiation: { mode: negotiation } },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: answerForm(params.requestedSchema),
  }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: 'A word of the model.' },
  }));
  const heard = new Set();
  client.setNotificationHandler('notifications/tools/list_changed', () => heard.add('tools'));
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard.add(params.uri));
  const requestInit = { headers: { authorization: `Bearer ${plan.token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(plan.url), { requestInit }));
  try {
    const protocolVersion = client.getNegotiatedProtocolVersion();
    return { protocolVersion, ...(await lookAround(client, plan)), ...(await listen(client, plan, heard)) };
  } finally {
    await client.close();
  }
}

async function lookAround(client, plan) {
  const found = { tools: (await client.listTools()).tools.map((tool) => tool.name).sort() };
  for (const what of ['call', 'elicit', 'sample'].filter((each) => plan[each])) {
    const { content } = await client.callTool(plan[what]);
    found[what] = content.map((item) => item.text ?? '').join('\n');
  }
  if (plan.resource) {
    found.resources = (await client.listResources()).resources.map((resource) => resource.uri);
    found.resource = (await client.readResource({ uri: plan.resource })).contents[0].text;
  }
  if (plan.prompt) {
    found.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
    found.prompt = (await client.getPrompt({ name: plan.prompt })).messages[0].content.text;
  }
  if (plan.complete) {
    const ref = { type: 'ref/prompt', name: plan.complete.prompt };
    found.complete = (await client.complete({ ref, argument: plan.complete.argument })).completion.values;
  }
  return found;
}

async function listen(client, plan, heard) {
  const found = {};
  const modern = client.getNegotiatedProtocolVersion() >= '2026-07-28';
  const hear = async (what, name) => {
    while (!heard.has(what)) {
      await client.callTool({ name, arguments: {} });
      for (let tries = 0; tries < 20 && !heard.has(what); tries += 1) await sleep(50);
    }
    return what;
  };
  if (plan.changes) {
    const subscription = modern ? await client.listen({ toolsListChanged: true }) : undefined;
    found.changes = await hear('tools', plan.changes.tool);
    await subscription?.close();
  }
  if (plan.updates) {
    const { uri, tool } = plan.updates;
    if (!modern) await client.subscribeResource({ uri });
    const subscription = modern ? await client.listen({ resourceSubscriptions: [uri] }) : undefined;
    found.updates = await hear(uri, tool);
    await subscription?.close();
  }
  return found;
}

/** What a person who fills in only what is required would say. */
function answerForm({ properties, required = [] }) {
  const values = { boolean: true, integer: 7, number: 7 };
  return Object.fromEntries(required.map((name) => [name, values[properties[name].type] ?? 'word']));
}
