/** A few-shot prompt as one text, as `few_shot` of `labeling/writing/briefs.py` composes it. */
export const FEWEST = 2;
export const MOST = 16;

export function compose({ instruction, examples, input }) {
  const pairs = examples.map((one) => `Input: ${one.input.trim()}\nOutput: ${one.output.trim()}`);
  return [instruction.trim(), ...pairs, `Input: ${input.trim()}\nOutput:`].join("\n\n");
}

/** The parts of an answer or draft, each a text, with as many examples as there must be. */
export function parts(answer) {
  const text = (value) => (typeof value === "string" ? value : "");
  const given = Array.isArray(answer?.examples) ? answer.examples.slice(0, MOST) : [];
  const examples = given.map((one) => ({ input: text(one?.input), output: text(one?.output) }));
  while (examples.length < FEWEST) examples.push({ input: "", output: "" });
  return { instruction: text(answer?.instruction), examples, input: text(answer?.input) };
}
