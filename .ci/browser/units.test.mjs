// The functions of the console that need no page: `node --test`, beside a copy of its files.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, poolSize, spread, usable } from "./console/address.js";
import { fields, summary, together, words } from "./console/changes.js";
import { difference, excerpt } from "./console/diff.js";
import { ago, bytes, plural, since } from "./console/format.js";
import { standing } from "./console/standing.js";

test("an IPv4 range gives what lies between its first and its last address", () => {
  assert.deepEqual(usable(" 10.147.17.0/24 "), { target: "10.147.17.0/24", first: "10.147.17.1", last: "10.147.17.254", size: 254n });
  assert.deepEqual(usable("10.64.0.0/14"), { target: "10.64.0.0/14", first: "10.64.0.1", last: "10.67.255.254", size: 262_142n });
  assert.deepEqual(usable("192.168.0.4/30"), { target: "192.168.0.4/30", first: "192.168.0.5", last: "192.168.0.6", size: 2n });
  for (const wrong of ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/31", "10.0.0.0/7", "10.0.0.256/24", "10.0.0.0/24/1", "fd00::/64", "a"]) assert.equal(usable(wrong), null, wrong);
});

test("addresses are numbers, and pools as large as they are", () => {
  assert.deepEqual(parse("fd00::1"), { bits: 128, value: 0xfd00n * 65536n ** 7n + 1n });
  for (const wrong of ["1.2.3", "1.2.3.256", "1::2::3", "12345::", "1:2:3", "x"]) assert.equal(parse(wrong), null, wrong);
  assert.equal(poolSize({ ipRangeStart: "10.0.0.1", ipRangeEnd: "10.0.0.254" }), 254n);
  assert.equal(poolSize({ ipRangeStart: "10.0.0.9", ipRangeEnd: "10.0.0.1" }), 0n);
  assert.deepEqual(spread({ ipRangeStart: "10.0.0.0", ipRangeEnd: "10.0.0.9" }, ["10.0.0.0", "10.0.0.9", "10.0.0.8", "10.0.1.0", "fd00::1"], 2), [1, 2]);
});

test("a difference has every line of both texts, in order", () => {
  const signs = (before, after) => difference(before, after).map(({ sign, text }) => sign + text).join("|");
  assert.equal(signs("a\nb\nc\n", "a\nx\nc\n"), " a|−b|+x| c");
  assert.equal(signs("", "a\n"), "+a");
  assert.equal(signs("a\n", ""), "−a");
  assert.equal(signs("a\nb", "a\nb\n"), " a| b");
  assert.equal(signs("a\nb\nc\nd", "b\nd\ne"), "−a| b|−c| d|+e");
  for (let round = 0; round < 200; round += 1) {
    const text = () => Array.from({ length: Math.floor(Math.random() * 12) }, () => "abcd"[Math.floor(Math.random() * 4)]);
    const [before, after] = [text(), text()];
    const lines = difference(before.join("\n"), after.join("\n"));
    assert.deepEqual(lines.filter(({ sign }) => sign !== "+").map((line) => line.text), before, `${before} to ${after}`);
    assert.deepEqual(lines.filter(({ sign }) => sign !== "−").map((line) => line.text), after, `${before} to ${after}`);
  }
});

test("an excerpt leaves out what is far from a difference", () => {
  const lines = difference("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\nx\n");
  assert.deepEqual(excerpt(lines, 1).map((line) => line && line.sign + line.text), [null, " 7", "−8", "+x"]);
  assert.deepEqual(excerpt(difference("a\n", "a\n")), [null]);
});

test("the audit log is told in words", () => {
  const entry = (before, after, more = {}) => ({ action: "member.update", actor: "a", network: "n", member: "m", time: 0, before, after, ...more });
  assert.equal(words(entry({ authorized: false }, { authorized: true })), "Member authorized");
  assert.equal(words(entry({ authorized: true }, { authorized: false })), "Member revoked");
  assert.equal(words(entry(null, { authorized: true }, { action: "member.create" })), "Member authorized");
  assert.equal(words(entry(null, { authorized: false }, { action: "member.create" })), "Member added");
  assert.equal(words(entry({ name: "a", authorized: true }, { name: "b", authorized: true })), "Member changed");
  assert.equal(words({ action: "something.new" }), "something.new");
  assert.deepEqual(fields(entry({ name: "a", revision: 1, mtu: 1 }, { name: "b", revision: 2, mtu: 1 })), ["name"]);
  assert.equal(summary(entry({ name: null, ipAssignments: [] }, { name: "laptop", ipAssignments: ["10.0.0.1"] })), "name: – → laptop, ipAssignments: – → 10.0.0.1");
  assert.equal(summary(entry({ name: "x".repeat(80) }, { name: "y" })), "name");
  assert.equal(summary(entry(null, { a: 1, b: 1, c: 1, d: 1, e: 1 })), "5 fields");
  assert.equal(summary(entry({ name: "reader", scope: ["read"] }, null)), "reader");
  assert.equal(summary(entry(null, { name: "x".repeat(100), a: 1 })).length, 81);
  assert.equal(summary(entry(null, { name: "  ", a: 1 })), "name, a");
});

test("what one request did is told together, each member once", () => {
  const entry = (member, time = 0, more = {}) => ({ action: "member.remove", actor: "a", network: "n", member, time, before: {}, after: null, ...more });
  const groups = (entries) => together(entries).map((group) => group.map(({ member }) => member).join(""));
  assert.deepEqual(groups([entry("1"), entry("2"), entry("3")]), ["123"]);
  assert.deepEqual(groups([entry("1"), entry("2"), entry("1")]), ["12", "1"]);
  assert.deepEqual(groups([entry("1"), entry("2", 60_000)]), ["1", "2"]);
  assert.deepEqual(groups([entry("1"), entry("2", 0, { actor: "b" }), entry("3", 0, { network: "o" })]), ["1", "2", "3"]);
  assert.equal(together([entry(null), entry(null)]).length, 2);
});

test("times and numbers are written for people", () => {
  const now = 1_800_000_000_000;
  assert.deepEqual([0, now, now - 59_000, now - 60_000, now - 7_200_000, now - 86_400_000, now + 5000].map((time) => ago(time, now)),
    ["never", "just now", "just now", "1 minute ago", "2 hours ago", "yesterday", "just now"]);
  assert.equal(since(Date.now()), "less than a minute");
  assert.deepEqual([plural(1, "member"), plural(2000, "member"), plural(2, "delivery", "deliveries")], ["1 member", "2,000 members", "2 deliveries"]);
  assert.deepEqual([0, 999, 1000, 1_234_567, 250_000_000].map(bytes), ["0 B", "999 B", "1.0 kB", "1.2 MB", "250 MB"]);
});

test("a member is in, out, or nobody has decided", () => {
  const of = (authorized, lastAuthorizedTime, lastDeauthorizedTime) => standing({ authorized, lastAuthorizedTime, lastDeauthorizedTime })[0];
  assert.deepEqual([of(true, 1, 0), of(false, 0, 0), of(false, 0, 1), of(false, 1, 2), of(true, 3, 2)], ["Authorized", "Waiting", "Refused", "Revoked", "Authorized"]);
});
