"""What a page that runs scripts adds to a view: search in logs, and what a reader has opened.

A view is replaced as a whole at each update; what somebody has opened, closed, typed or scrolled
to would be lost. Without scripts (an untrusted notebook, a code host) the view says the same.
"""

from __future__ import annotations

__all__ = ["SCRIPT"]

_SOURCE = """
(() => {
const me = document.currentScript;
const root = me && me.closest("[data-flyte-jupyter-run]");
if (!root) return;
const all = (window.__flyteJupyterViews ??= {});
const kept = (all[root.dataset.flyteJupyterRun] ??= {open: {}, query: {}, top: {}, focus: null});
for (const part of root.querySelectorAll("details[data-flyte-jupyter-log]")) {
  const key = part.dataset.flyteJupyterLog, log = part.querySelector("pre");
  if (key in kept.open) part.open = kept.open[key];
  part.querySelector("summary").addEventListener("click", () => { kept.open[key] = !part.open; });
  const text = log.textContent, lines = text.split("\\n");
  const find = document.createElement("input");
  find.type = "search";
  find.placeholder = "search";
  find.setAttribute("aria-label", "search in " + part.querySelector("summary").textContent);
  find.value = kept.query[key] ?? "";
  const found = document.createElement("span");
  const filter = () => {
    const word = find.value.toLowerCase();
    kept.query[key] = find.value;
    const those = word ? lines.filter(line => line.toLowerCase().includes(word)) : lines;
    log.textContent = those.join("\\n");
    found.textContent = word ? " " + those.length + " of " + lines.length + " lines" : "";
  };
  find.addEventListener("input", filter);
  const about = part.querySelector("div");
  if (about) about.append(" ", find, found);
  else log.before(find, found);
  filter();
  const end = () => log.scrollHeight - log.clientHeight;
  if (part.open) log.scrollTop = kept.top[key] ?? end();
  log.addEventListener("scroll", () => {
    if (log.scrollTop >= end() - 4) delete kept.top[key];
    else kept.top[key] = log.scrollTop;
  });
}
const targets = [...root.querySelectorAll("summary, input, pre, button, [tabindex]")];
const nameOf = at => at.tagName + " " + (
  at.closest("details")?.dataset.flyteJupyterLog ?? at.getAttribute("aria-label"));
const keep = event => {
  const at = event.target;
  kept.focus = {name: nameOf(at), from: at.selectionStart, to: at.selectionEnd};
};
root.addEventListener("focusin", keep);
root.addEventListener("input", keep);
// what is about to be replaced loses its focus while it is still there
root.addEventListener("focusout", () => queueMicrotask(() => {
  if (root.isConnected && !root.contains(document.activeElement)) kept.focus = null;
}));
const at = kept.focus && targets.find(one => nameOf(one) === kept.focus.name);
if (at && (!document.activeElement || document.activeElement === document.body)) {
  at.focus({preventScroll: true});
  if (at.setSelectionRange && kept.focus?.from != null) {
    at.setSelectionRange(kept.focus.from, kept.focus.to);
  }
}
})();
"""
SCRIPT = f"<script>{_SOURCE}</script>"
