// The live client in Node, for test_live_client.py: tells what happens by lines of JSON on stdout,
// and takes a wish, or the name of a call, by each line of stdin.
import { createInterface } from "node:readline";

const [bundle, origin, key, wish] = process.argv.slice(2);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

globalThis.WebSocket = class extends WebSocket {
  send(text) {
    tell({ sent: JSON.parse(text) });
    super.send(text);
  }
};

const { connect } = await import(bundle);
const client = connect({
  origin,
  key,
  wish: JSON.parse(wish),
  onSeries: ({ time, columns, asOf, filter }) => tell({ series: { time, events: columns.events, asOf, filter } }),
  onConnection: (connection) => tell({ connection }),
  onError: (failure) => tell({ failure }),
});
client.start();

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  if (typeof said === "string") client[said]();
  else client.subscribe(said);
}
client.stop();
