/** The ledger's panel: one line that says whether the last hour balances, and where each event went. */

import { clock, integer } from "./format.js";

const OUTCOMES = { // of what was decoded, as people say it
  counted: "Counted", bot: "Counted as bots", duplicate: "Duplicates left out", too_late: "Too late to count",
};

export class Ledger {
  /** `details` is the panel; `fetchReply` gives the reply of /v1/ledger or null. */
  constructor(details, fetchReply) {
    this.line = details.querySelector("[data-line]");
    this.rows = details.querySelector("tbody");
    this.fetchReply = fetchReply;
  }

  async refresh() {
    const reply = await this.fetchReply();
    if (reply === null) return;
    const { total, paths, stored } = reply;
    const standing = paths.differences.filter((each) => each.standing); // others are late events on their way
    const wrong = standing.length + total.unexplained;
    this.line.parentElement.classList.toggle("wrong", wrong > 0);
    setText(this.line, sentence(total, paths, wrong));
    const lines = [
      ["Received", total.received],
      ["Accepted", total.accepted],
      ...Object.entries(total.rejected).map(([reason, count]) => [`Rejected: ${reason}`, count]),
      ...Object.entries(OUTCOMES).map(([name, title]) => [title, total[name]]),
      ...Object.entries(total.dead).map(([reason, count]) => [`In dead letters: ${reason}`, count]),
      ["Accepted, only in dead letters", total.undecoded],
      ["In flight", total.in_flight],
      ["Decoded, acceptance not on record", total.unreported],
      ...Object.entries(stored.other)
        .map(([dimensions, counts]) => [`In no series by ${dimensions.replaceAll(",", ", ")} (too many)`, sum(counts)])
        .filter(([, count]) => count > 0),
      ...standing.map((each) => [
        `${clock(each.minute)} ${each.measure}: windows ${integer(each.windows)}, raw events`, each.raw_events,
      ]),
    ];
    this.rows.replaceChildren(...lines.map(([title, count]) => row(title, count)));
  }
}

function sentence(total, paths, wrong) {
  const rejected = sum(Object.values(total.rejected));
  const parts = [
    `${integer(total.received)} received`, `${integer(total.accepted)} accepted`, `${integer(rejected)} rejected`,
    `${integer(total.in_flight)} in flight`,
  ];
  if (wrong > 0) parts.push(`${integer(wrong)} differences`);
  else if (paths.compared > 0) parts.push(`both counts agree on ${integer(paths.compared)} minutes`);
  return parts.join(" · ");
}

function sum(numbers) {
  return numbers.reduce((all, each) => all + each, 0);
}

function row(title, count) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = title;
  line.append(head);
  line.insertCell().textContent = integer(count);
  return line;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
