// Colours for the rules language. It marks words, it does not understand them: the compiler on the server does.
import { h } from "./dom.js";

const TOKENS = new RegExp([
  "(?<comment>#[^\\n]*)",
  "(?<action>\\b(?:accept|drop|break|tee|watch|redirect|priority)\\b)",
  "(?<block>\\b(?:macro|include|tag|cap|id|enum|flag|default|test|expect)\\b)",
  "(?<word>\\b(?:not|and|or|ethertype|ipprotocol|sport|dport|chr|random|framesize|ipsrc|ipdest|macsrc|macdest|ztsrc|ztdest|icmp|iptos|vlan\\w*|tand|tor|txor|tdiff|teq|tseq|treq|tag\\w*)\\b)",
  "(?<number>\\b[0-9a-f]{10}\\b|\\b0x[0-9a-f]+\\b|\\b\\d[\\d.:/-]*)",
].join("|"), "gi");

/** Returns the text in coloured parts; `wrong` maps line numbers to what is wrong there. */
export function highlight(text, wrong) {
  return text.split("\n").map((line, index) => {
    const parts = [];
    let end = 0;
    for (const match of line.matchAll(TOKENS)) {
      parts.push(line.slice(end, match.index));
      const kind = Object.entries(match.groups).find(([, value]) => value !== undefined)[0];
      parts.push(h("span", { class: `token-${kind}` }, match[0]));
      end = match.index + match[0].length;
    }
    parts.push(line.slice(end), "\n");
    const problem = wrong.get(index + 1);
    return problem ? h("span", { class: `line-${problem.kind}` }, parts) : parts;
  });
}
