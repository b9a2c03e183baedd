// What is different between two texts, line by line.

/** More lines than this are not compared one with another: then all of one goes, and all of the other comes. */
const MOST = 1500;

/** Returns the lines of both texts in order, each `{ sign, text }` with a sign of "−", "+" or " ". */
export function difference(before, after) {
  const [old, now] = [lines(before), lines(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const same = (some) => some.map((text) => ({ sign: " ", text }));
  return [...same(old.slice(0, start)), ...middle(old.slice(start, old.length - end), now.slice(start, now.length - end)), ...same(old.slice(old.length - end))];
}

function lines(text) {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  return all;
}

/** By the longest common subsequence. */
function middle(old, now) {
  const gone = (text) => ({ sign: "−", text });
  const come = (text) => ({ sign: "+", text });
  if (old.length > MOST || now.length > MOST) return [...old.map(gone), ...now.map(come)];
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = old[i] === now[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) { found.push({ sign: " ", text: old[i] }); i += 1; j += 1; }
    else if (i < old.length && (j === now.length || common[(i + 1) * width + j] >= common[i * width + j + 1])) { found.push(gone(old[i])); i += 1; }
    else { found.push(come(now[j])); j += 1; }
  }
  return found;
}

/** Leaves out lines that are far from any difference; `null` stands for some of them. */
export function excerpt(all, around = 2) {
  const near = all.map((_, index) => all.slice(Math.max(0, index - around), index + around + 1).some(({ sign }) => sign !== " "));
  const shown = [];
  all.forEach((line, index) => {
    if (near[index]) shown.push(line);
    else if (shown.length === 0 || shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
