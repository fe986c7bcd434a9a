"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const apply = (name) => {
    if (name === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", name);
    button.textContent = "Theme: " + name;
    button.dataset.now = name;
  };
  const asked = location.hash.slice(1);
  apply(themes.includes(asked) ? asked : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    apply(themes[(themes.indexOf(button.dataset.now) + 1) % themes.length]);
  });

  // Paper has no pointer: what is folded is printed unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });

  const candles = {};
  const rowsOf = (key) => (candles[key] ??= JSON.parse(document.getElementById(key).textContent));
  const compact = (v) =>
    v.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 });
  for (const area of document.querySelectorAll("rect.touch")) {
    const { candles: key, left, slot, first, count, width } = area.dataset;
    const cross = area.previousElementSibling;
    const readout = document.getElementById("readout-" + key);
    const digits = Number(document.getElementById(key).dataset.decimals);
    const money = (v) =>
      v.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    const resting = readout.textContent;
    const move = (event) => {
      const box = area.ownerSVGElement.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * width;
      const place = Math.floor((x - left) / slot);
      const index = Math.max(0, Math.min(count - 1, place));
      const row = rowsOf(key)[Number(first) + index];
      const middle = Number(left) + (index + 0.5) * slot;
      cross.setAttribute("x1", middle);
      cross.setAttribute("x2", middle);
      cross.setAttribute("visibility", "visible");
      const [o, h, l, c] = row.slice(1, 5).map(money);
      const change = ((row[4] / row[1] - 1) * 100).toFixed(2);
      readout.textContent =
        `${row[0]}  O ${o}  H ${h}  L ${l}  C ${c}  V ${compact(row[5])}  ${change > 0 ? "+" : ""}${change} %`;
    };
    area.addEventListener("pointermove", move);
    area.addEventListener("pointerdown", move);
    area.addEventListener("pointerleave", () => {
      cross.setAttribute("visibility", "hidden");
      readout.textContent = resting;
    });
  }
})();
