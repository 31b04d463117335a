// Keeps a page of `ai-batch ui` up to date, without losing what is open, selected or scrolled to.
"use strict";

const PERIOD = 1500;

function sync(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wanted = [...fresh.childNodes];
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
  wanted.forEach((node, place) => {
    const there = old.childNodes[place];
    if (there) sync(there, node);
    else old.append(node);
  });
}

async function refresh() {
  const began = performance.now();
  const lost = document.getElementById("lost");
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    sync(document.getElementById("live"), page.getElementById("live"));
    document.title = page.title;
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
  // A page that takes long to make must not keep the machine busy with nothing else.
  setTimeout(next, Math.max(PERIOD, 10 * (performance.now() - began)));
}

function next() {
  if (document.hidden) document.addEventListener("visibilitychange", next, { once: true });
  else refresh();
}

// The cookie has the token from here on: it need not stay where others may see it.
const here = new URL(location.href);
if (here.searchParams.has("token")) {
  here.searchParams.delete("token");
  history.replaceState(null, "", here);
}
setTimeout(next, PERIOD);
