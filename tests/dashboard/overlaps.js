// What is drawn over something else inside <main>, and what is cut off without a sign of it: a function for page.evaluate.
() => {
  /** What is seen of a box, inside all that clips it; null: nothing. */
  const seen = (rect, element) => {
    let { left, top, right, bottom } = rect;
    for (let outer = element; outer; outer = outer.parentElement) {
      const style = getComputedStyle(outer);
      if (style.clipPath !== "none" || style.visibility === "hidden") return null;
      if (style.overflowX === "visible") continue;
      const box = outer.getBoundingClientRect();
      left = Math.max(left, box.left);
      right = Math.min(right, box.right);
      top = Math.max(top, box.top);
      bottom = Math.min(bottom, box.bottom);
    }
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
  };
  // Half a pixel is rounding.
  const meet = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 0.5 &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 0.5;
  // The box of a line is higher than what is written in it.
  const inked = ({ left, top, right, bottom }) => ({ left, top: top + 3, right, bottom: bottom - 3 });
  const short = (text) => text.trim().slice(0, 24);
  const nameOf = (element) => short(element.getAttribute("aria-label") || element.textContent || element.tagName);
  const cuts = (element) => {
    const { clipPath, textOverflow, overflowX } = getComputedStyle(element);
    if (clipPath !== "none" || textOverflow === "ellipsis" || overflowX !== "hidden") return false;
    return element.scrollWidth > element.clientWidth + 1;
  };
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);

  const faults = new Set();
  const main = document.querySelector("main");
  const pressed = [...main.querySelectorAll("button, input, select, textarea")]
    .map((element) => ({ element, box: seen(element.getBoundingClientRect(), element) }))
    .filter(({ element, box }) => box && element.checkVisibility());
  for (const one of pressed)
    for (const other of pressed)
      if (one.element !== other.element && meet(one.box, other.box))
        faults.add(`${nameOf(one.element)} and ${nameOf(other.element)} overlap`);

  const written = [];
  const texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest("svg, canvas, kbd") || !holder.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = seen(rect, holder);
      if (!box) continue;
      written.push({ node, box: inked(box) });
      for (const { element, box: button } of pressed)
        if (!element.contains(holder) && meet(box, button))
          faults.add(`the text ${short(node.data)} lies over ${nameOf(element)}`);
    }
    for (let outer = holder; outer !== main && !scrolls(outer); outer = outer.parentElement)
      if (cuts(outer)) faults.add(`${outer.tagName} ${outer.className} cuts off ${short(node.data)}`);
  }
  written.forEach((one, at) => {
    for (const other of written.slice(at + 1))
      if (one.node !== other.node && meet(one.box, other.box))
        faults.add(`${short(one.node.data)} and ${short(other.node.data)} overlap`);
  });
  return [...faults];
};
