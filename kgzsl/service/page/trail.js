// Back and forward: the page's address holds the class, and the browser's history the walk.

import { byId } from "./dom.js";

/** Make the buttons work; `walked()` is called when the address has changed. */
export function makeTrail(walked) {
  let at = history.state?.step ?? 0;
  let last = at;
  if (history.state?.step === undefined) history.replaceState({ step: at }, "");
  const show = () => {
    byId("back").disabled = at === 0;
    byId("forward").disabled = at >= last;
  };
  byId("back").onclick = () => history.back();
  byId("forward").onclick = () => history.forward();
  window.addEventListener("hashchange", () => {
    const step = history.state?.step;
    if (step === undefined) {
      at += 1;
      last = at;
      history.replaceState({ step: at }, "");
    } else at = step;
    last = Math.max(last, at);
    show();
    walked();
  });
  show();
}
