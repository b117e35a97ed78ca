/** Every kind of task with its element, see `kind.js`. */
import "./compare.js";
import "./edit.js";
import "./rank.js";
import "./rate.js";
import "./write.js";

export const ELEMENTS = {
  rank: "rank-board",
  compare: "compare-board",
  rate: "rate-sheet",
  edit: "edit-sheet",
  demonstrate: "demonstration-editor",
};
