"use strict";
// Moves the picture that stands in the page: zoom, cursor, and what is known of a moment. Everything that people said is put
// on the page as text, never as HTML.
(() => {
  const night = JSON.parse(document.getElementById("night").textContent);
  const frame = document.querySelector(".frame");
  const svg = frame.querySelector("svg");
  const tip = frame.querySelector(".tip");
  const timed = document.getElementById("timed");
  const ticks = document.getElementById("ticks");
  const cursor = document.getElementById("cursor");
  const chosen = document.getElementById("chosen");
  const near = document.getElementById("near");
  const placed = [...svg.querySelectorAll("[data-t]")].map((node) => ({
    node,
    t: Number(node.dataset.t),
    y: node.dataset.y,
    until: node.dataset.u === undefined ? null : Number(node.dataset.u),
    width: Number(node.dataset.w || 0),
    stay: node.dataset.stay === undefined ? null : Number(node.dataset.stay),
  }));
  const bottom = Number(svg.dataset.bottom);
  const end = Math.max(night.end, 0.001);
  const right = night.left + night.plot;
  const LEAST_S = Math.min(0.05, end);
  const view = { from: 0, to: end };
  let at = end; // the moment of the cursor
  let held = false;

  const scale = () => night.plot / (view.to - view.from);
  const xOf = (t) => night.left + (t - view.from) * scale();
  const tOf = (x) => view.from + (x - night.left) / scale();
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // The number of entries whose time is at most t; they are sorted by time.
  function before(list, t) {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle][0] <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function element(name, words, kind) {
    const node = document.createElement(name);
    if (words !== undefined) node.textContent = words;
    if (kind) node.className = kind;
    return node;
  }

  const seconds = (t, digits = 3) => `${t.toFixed(digits)} s`;
  const took = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 2 : 1)} ms`);

  // --- the picture

  function drawTicks() {
    const least = (view.to - view.from) / 10;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least * 0.999);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    ticks.replaceChildren();
    for (let number = Math.ceil(view.from / step); number * step <= view.to + 1e-9; number += 1) {
      const group = document.createElementNS(svg.namespaceURI, "g");
      group.setAttribute("class", "tick");
      group.setAttribute("transform", `translate(${xOf(number * step).toFixed(1)} 0)`);
      const line = document.createElementNS(svg.namespaceURI, "path");
      line.setAttribute("d", `M0 20V${bottom + 5}`);
      const words = document.createElementNS(svg.namespaceURI, "text");
      words.setAttribute("y", bottom + 18);
      words.textContent = `${(number * step).toFixed(digits)} s`;
      group.append(line, words);
      ticks.append(group);
    }
  }

  function draw() {
    const s = scale();
    timed.setAttribute("transform", `translate(${night.left - view.from * s} 0) scale(${s} 1)`);
    for (const { node, t, y, until, width, stay } of placed) {
      let x = xOf(t);
      if (until !== null) {
        x = Math.max(x, night.left);
        node.setAttribute("visibility", Math.min(xOf(until), right) - x < width ? "hidden" : "visible");
      } else if (stay !== null && xOf(stay) > night.left) {
        x = Math.max(x, night.left); // the words of a fault stay in sight while the fault is
      }
      node.setAttribute("transform", `translate(${x.toFixed(1)} ${y})`);
    }
    drawTicks();
    drawCursor();
  }

  function drawCursor() {
    const seen = at >= view.from && at <= view.to;
    cursor.setAttribute("visibility", seen ? "visible" : "hidden");
    if (seen) cursor.setAttribute("transform", `translate(${xOf(at).toFixed(1)} 0)`);
  }

  function zoomTo(from, to) {
    const length = clamp(to - from, LEAST_S, end);
    view.from = clamp(from, 0, end - length);
    view.to = view.from + length;
    draw();
  }

  function zoomBy(factor, about) {
    const length = (view.to - view.from) * factor;
    const share = (about - view.from) / (view.to - view.from);
    zoomTo(about - share * length, about + (1 - share) * length);
  }

  const pan = (share) => {
    const by = (view.to - view.from) * share;
    zoomTo(view.from + by, view.to + by);
  };

  const moves = {
    left: () => pan(-0.25),
    right: () => pan(0.25),
    in: () => zoomBy(0.5, at > view.from && at < view.to ? at : (view.from + view.to) / 2),
    out: () => zoomBy(2, at > view.from && at < view.to ? at : (view.from + view.to) / 2),
    all: () => zoomTo(0, end),
  };

  // --- a moment

  function stateAt(t) {
    const state = night.states[before(night.states, t) - 1];
    // An end is no part of what ends, but for what was cut off by the end of the night: there the bot is as it was when an error ended it.
    const within = (from, to, cut) => from <= t && (t < to || (cut && to >= end && t >= end));
    const lives = night.lives.filter(([, from, to, how]) => within(from, to, how === ""));
    const acting = night.bands
      .filter(([from, to, , , instant, phases]) =>
        instant ? Math.abs(from - t) < (view.to - view.from) / 200 : within(from, to, true) && phases.some(([a, b]) => within(a, b, true)))
      .map(([, , family, words]) => `${words} (${family})`);
    const running = lives.length > 0 && state && state[1] > 0;
    return {
      process: lives.map(([number, from]) => `#${number}, for ${seconds(t - from, 1)}`).join("; ") || "none runs",
      chat: running ? (state[5] ? "connected" : "not connected") : "–",
      circuit: running ? state[3] : "–",
      journal: running ? (state[4] ? "degraded: replies do not wait for it" : "replies wait for it") : "–",
      "rows waiting": running ? String(state[2]) : "–",
      faults: acting.length ? acting.join("; ") : "none acts",
    };
  }

  function show(t) {
    at = t;
    drawCursor();
    document.getElementById("moment").textContent = seconds(t);
    const list = document.getElementById("state");
    list.replaceChildren();
    for (const [name, words] of Object.entries(stateAt(t))) list.append(element("dt", name), element("dd", words));
    const said = document.getElementById("said");
    said.replaceChildren();
    const now = before(night.messages, t);
    const first = clamp(now - 9, 0, Math.max(0, night.messages.length - 13));
    night.messages.slice(first, first + 13).forEach(([when, channel, login, text, who, latency], number) => {
      const line = element("li", undefined, `${who}${first + number >= now ? " later" : ""}`);
      const reply = latency === null ? (who === "command" ? "no reply" : "") : took(latency);
      line.append(
        element("time", seconds(when)),
        element("span", `#${night.channels[channel]}`, "channel"),
        element("span", login, "login"),
        element("span", text, "text"),
        element("span", reply, "took"),
      );
      said.append(line);
    });
  }

  // The message under the pointer: in its channel's row, or as a latency.
  function nearest(x, y) {
    const reach = 9;
    const { top, bottom: floor, low, high } = night.latency;
    const heightOf = (ms) => floor - (Math.log(clamp(ms, low, high) / low) / Math.log(high / low)) * (floor - top);
    let best = null;
    let least = reach * reach;
    const from = before(night.messages, tOf(x - reach) - 1e-9);
    const to = before(night.messages, tOf(x + reach));
    for (let number = from; number < to; number += 1) {
      const [t, channel, , , who, latency] = night.messages[number];
      const heights = [night.rows[channel] + night.beside[who]];
      if (latency !== null) heights.push(heightOf(latency));
      else if (who === "command") heights.push(top - 11);
      for (const height of heights) {
        const distance = (xOf(t) - x) ** 2 + (height - y) ** 2;
        // Of two at one place the later one, which is drawn over the other.
        if (distance <= least) {
          least = distance;
          best = { number, x: xOf(t), y: height };
        }
      }
    }
    return best;
  }

  function fillTip(t, found) {
    tip.replaceChildren();
    if (found) {
      const [when, channel, login, text, who, latency] = night.messages[found.number];
      tip.append(element("b", `${login} in #${night.channels[channel]} at ${seconds(when)}`), element("div", text));
      if (latency !== null) tip.append(element("div", `replied to after ${took(latency)}`, "quiet"));
      else if (who === "command") tip.append(element("div", "nobody replied to it", "quiet"));
      return;
    }
    const broken = night.violations.filter(([when]) => Math.abs(xOf(when) - xOf(t)) < 5);
    tip.append(element("b", seconds(t)));
    for (const [, invariant, words] of broken.slice(0, 3)) tip.append(element("div", `${invariant}: ${words}`));
    for (const [name, words] of Object.entries(stateAt(t))) tip.append(element("div", `${name}: ${words}`, "quiet"));
  }

  // --- the pointer and the keys

  function place(event) {
    const area = svg.getBoundingClientRect();
    const size = night.width / area.width;
    return { x: (event.clientX - area.left) * size, y: (event.clientY - area.top) * size, area, size };
  }

  let down = null;

  function moved(event) {
    const { x, y, area, size } = place(event);
    const t = clamp(tOf(clamp(x, night.left, right)), 0, end);
    if (down !== null && Math.abs(x - down) > 4) {
      const [a, b] = [down, clamp(x, night.left, right)].sort((one, other) => one - other);
      chosen.setAttribute("x", a);
      chosen.setAttribute("width", b - a);
      chosen.setAttribute("visibility", "visible");
    }
    const found = nearest(x, y);
    near.setAttribute("visibility", found ? "visible" : "hidden");
    if (found) {
      near.setAttribute("cx", found.x);
      near.setAttribute("cy", found.y);
    }
    if (!held) show(found ? night.messages[found.number][0] : t);
    fillTip(t, found);
    tip.hidden = x < night.left;
    const room = area.width - (event.clientX - area.left);
    const aside = room < tip.offsetWidth + 30 ? -tip.offsetWidth - 16 : 16;
    tip.style.transform = `translate(${x / size + aside}px, ${clamp(y / size + 14, 0, area.height - tip.offsetHeight)}px)`;
  }

  frame.addEventListener("pointermove", moved);
  frame.addEventListener("pointerleave", () => {
    tip.hidden = true;
    near.setAttribute("visibility", "hidden");
  });
  frame.addEventListener("pointerdown", (event) => {
    const { x } = place(event);
    if (event.button === 0 && x >= night.left) down = x;
  });
  window.addEventListener("pointerup", (event) => {
    if (down === null) return;
    const from = down;
    const to = clamp(place(event).x, night.left, right);
    down = null;
    chosen.setAttribute("visibility", "hidden");
    if (Math.abs(to - from) > 4) {
      zoomTo(tOf(Math.min(from, to)), tOf(Math.max(from, to)));
    } else {
      held = !held;
      show(clamp(tOf(to), 0, end));
    }
  });
  frame.addEventListener("dblclick", moves.all);
  frame.addEventListener(
    "wheel",
    (event) => {
      if (!event.shiftKey && !event.ctrlKey) return; // the page scrolls as usual
      event.preventDefault();
      zoomBy(1.2 ** Math.sign(event.deltaY || event.deltaX), clamp(tOf(place(event).x), 0, end));
    },
    { passive: false },
  );
  frame.addEventListener("keydown", (event) => {
    const name = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", 0: "all", Escape: "all" }[event.key];
    if (!name) return;
    event.preventDefault();
    moves[name]();
  });
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => moves[button.dataset.zoom]());
  for (const button of document.querySelectorAll("[data-go]"))
    button.addEventListener("click", () => {
      const t = Number(button.dataset.go);
      held = true;
      zoomTo(t - Math.min(end, 20) * 0.75, t + Math.min(end, 20) * 0.25);
      show(t);
    });

  // The page opens where it is interesting: at the first broken promise, else in the middle of the first fault.
  const firstBand = night.bands.find(([, , , , instant]) => !instant);
  show(night.violations.length ? night.violations[0][0] : firstBand ? (firstBand[0] + firstBand[1]) / 2 : end / 2);
  draw();
})();
