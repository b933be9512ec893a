/** What is pasted somewhere to send the first event. Pure. */

export interface Places {
  service: string; // origin of this service, which has the SDK
  collector: string; // where events go
  key: string | null; // a write key, where it is known
}

const NO_KEY = "YOUR-WRITE-KEY";
const PERSON = "Mozilla/5.0 (X11; Linux x86_64)"; // curl's own name is a bot's, which is counted apart

export function scriptTag({ service, collector, key }: Places): string {
  return [
    `<script async src="${service}/streamlens.js"`,
    `  data-key="${key ?? NO_KEY}"`,
    `  data-endpoint="${bare(collector)}"></script>`,
  ].join("\n");
}

export function curl({ collector, key }: Places): string {
  return [
    `curl -X POST ${bare(collector)}/v1/events \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -H 'X-Write-Key: ${key ?? NO_KEY}' \\`,
    `  -A '${PERSON}' \\`,
    `  -d '{"events":[{"type":"page_view","user_id":"me","ts":'$(date +%s)'000}]}'`,
  ].join("\n");
}

function bare(url: string): string {
  return url.replace(/\/$/, "");
}
