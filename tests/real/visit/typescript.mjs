// Visits servers with the TypeScript SDK; the mode is `legacy`, `auto` or a revision. See README.md beside it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const mode = process.argv[2];
const plans = JSON.parse(process.env.VISITS);
const seen = [];
for (const plan of plans) {
  const tooLong = sleep(10_000, { error: 'this takes too long' });
  seen.push(await Promise.race([visit(plan).catch((error) => ({ error: error.stack ?? String(error) })), tooLong]));
}
console.log(JSON.stringify(seen));
process.exit(0);

async function visit(plan) {
  const negotiation = ['legacy', 'auto'].includes(mode) ? mode : { pin: mode };
  const client = new Client(
    { name: 'visitor', version: '1.0.0' },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode: negotiation } },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: answerForm(params.requestedSchema),
  }));
  const requestInit = { headers: { authorization: `Bearer ${plan.token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(plan.url), { requestInit }));
  try {
    return { protocolVersion: client.getNegotiatedProtocolVersion(), ...(await lookAround(client, plan)) };
  } finally {
    await client.close();
  }
}

async function lookAround(client, plan) {
  const found = { tools: (await client.listTools()).tools.map((tool) => tool.name).sort() };
  for (const what of ['call', 'elicit'].filter((each) => plan[each])) {
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
  return found;
}

/** What a person who fills in only what is required would say. */
function answerForm({ properties, required = [] }) {
  const values = { boolean: true, integer: 7, number: 7 };
  return Object.fromEntries(required.map((name) => [name, values[properties[name].type] ?? 'word']));
}
