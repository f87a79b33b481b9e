// A molecule as balls and sticks on a canvas: drag or arrow keys turn it, the wheel zooms, a click
// picks an atom. Everything is drawn here from numbers that Python sends; nothing is fetched.

const TURN = 0.01; // radians per pixel
const STILL = 4; // pixels that a pointer may move in a click
const PERIOD_MS = 1100; // of the vibration
const AMPLITUDE = 0.45; // A, of the atom that moves farthest
const KEYS = { ArrowLeft: [-12, 0], ArrowRight: [12, 0], ArrowUp: [0, -12], ArrowDown: [0, 12] };
const LOOKS = {
  "ball and stick": { ball: 1, stick: 0.15 },
  sticks: { ball: 0.4, stick: 0.2 },
  spheres: { ball: 2.6, stick: 0 },
};
const ARROW = "#D55E00";
const PICKED = "#E69F00";

function product(a, b) {
  return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
}

function turned(view, dx, dy) {
  const [c, s, d, t] = [Math.cos(dx * TURN), Math.sin(dx * TURN), Math.cos(dy * TURN), Math.sin(dy * TURN)];
  const aboutY = [[c, 0, s], [0, 1, 0], [-s, 0, c]];
  const aboutX = [[1, 0, 0], [0, d, -t], [0, t, d]];
  return product(product(aboutX, aboutY), view);
}

function apply(view, p) {
  return view.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
}

function triples(flat) {
  const found = [];
  for (let i = 0; i + 2 < flat.length; i += 3) found.push([flat[i], flat[i + 1], flat[i + 2]]);
  return found;
}

function ball(pen, [x, y], radius, colour) {
  const shade = pen.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
  shade.addColorStop(0, "#ffffff");
  shade.addColorStop(0.35, colour);
  shade.addColorStop(1, colour);
  ring(pen, [x, y], radius, "#444444", 1);
  pen.fillStyle = shade;
  pen.fill();
}

function ring(pen, [x, y], radius, colour, width) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.lineWidth = width;
  pen.strokeStyle = colour;
  pen.stroke();
}

function stick(pen, a, b, width, colour) {
  pen.beginPath();
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.lineWidth = width;
  pen.strokeStyle = colour;
  pen.lineCap = "round";
  pen.stroke();
}

function arrow(pen, from, to) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (length < 4) return;
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const head = Math.min(9, length / 2);
  stick(pen, from, [to[0] - head * Math.cos(angle), to[1] - head * Math.sin(angle)], 3, ARROW);
  pen.beginPath();
  pen.moveTo(to[0], to[1]);
  for (const side of [-0.45, 0.45]) {
    pen.lineTo(to[0] - head * 1.3 * Math.cos(angle + side), to[1] - head * 1.3 * Math.sin(angle + side));
  }
  pen.closePath();
  pen.fillStyle = ARROW;
  pen.fill();
}

function number(pen, [x, y], text) {
  pen.font = "600 11px sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.strokeStyle = "#ffffff";
  pen.strokeText(text, x, y);
  pen.fillStyle = "#111111";
  pen.fillText(text, x, y);
}

// What is seen of the molecule now: where its atoms are on the canvas, and how deep.
function project(model, view, zoom, [width, height], phase) {
  const moves = triples(model.get("mode"));
  const atoms = triples(model.get("positions"));
  const centre = [0, 1, 2].map((k) => atoms.reduce((sum, a) => sum + a[k], 0) / atoms.length);
  const scale = (zoom * Math.min(width, height)) / (2 * model.get("extent"));
  const place = (p) => [width / 2 + scale * p[0], height / 2 - scale * p[1]];
  const seen = atoms.map((a, i) => {
    const move = phase && moves.length ? moves[i].map((x) => AMPLITUDE * phase * x) : [0, 0, 0];
    return apply(view, a.map((x, k) => x + move[k] - centre[k]));
  });
  const tips = moves.map((move, i) => place(apply(view, move).map((x, k) => x + seen[i][k])));
  return { seen, flat: seen.map(place), tips, scale };
}

function paint(pen, model, found) {
  const { seen, flat, tips, scale } = found;
  const look = LOOKS[model.get("look")];
  const [colours, picked] = [model.get("colours"), model.get("picked")];
  const sizes = model.get("radii").map((radius) => radius * look.ball);
  const parts = seen.map((p, i) => ({
    depth: p[2],
    draw: () => {
      ball(pen, flat[i], scale * sizes[i], colours[i]);
      if (picked.includes(i)) ring(pen, flat[i], Math.max(scale * sizes[i], 7) + 3, PICKED, 4);
    },
  }));
  for (const [i, j] of look.stick ? model.get("bonds") : []) {
    const ends = bond(seen, flat, sizes, i, j);
    const middle = [0, 1].map((k) => (ends[0][k] + ends[1][k]) / 2);
    parts.push({
      depth: (seen[i][2] + seen[j][2]) / 2,
      draw: () => {
        stick(pen, ...ends, scale * (look.stick + 0.05), "#444444");
        stick(pen, ends[0], middle, scale * look.stick, colours[i]);
        stick(pen, middle, ends[1], scale * look.stick, colours[j]);
      },
    });
  }
  parts.sort((a, b) => a.depth - b.depth).forEach((part) => part.draw());
  if (!model.get("is_vibrating")) tips.forEach((tip, i) => arrow(pen, flat[i], tip));
  if (!model.get("is_numbered")) return;
  flat.forEach((place, i) => {
    if (!is_hidden(found, sizes, i)) number(pen, place, String(i));
  });
}

// Where a bond leaves the balls at its ends, so that it lies in front of neither's middle.
function bond(seen, flat, sizes, i, j) {
  const apart = Math.hypot(...[0, 1, 2].map((k) => seen[j][k] - seen[i][k])) || 1;
  const [from, to] = [0.8 * sizes[i], apart - 0.8 * sizes[j]].map((x) => Math.min(1, Math.max(0, x / apart)));
  return [from, to].map((part) => [0, 1].map((k) => flat[i][k] + part * (flat[j][k] - flat[i][k])));
}

// Whether the middle of an atom lies behind the ball of another.
function is_hidden({ seen, flat, scale }, sizes, i) {
  return flat.some(
    ([x, y], j) =>
      seen[j][2] > seen[i][2] + 0.1 && Math.hypot(x - flat[i][0], y - flat[i][1]) < 0.8 * scale * sizes[j],
  );
}

// The atom at a place of the canvas, the nearest to the eye of those that are there; else -1.
function hit(model, { seen, flat, scale }, [x, y]) {
  const radii = model.get("radii");
  let found = -1;
  flat.forEach(([u, v], i) => {
    const is_near = Math.hypot(u - x, v - y) < Math.max(9, scale * radii[i]);
    if (is_near && (found < 0 || seen[i][2] > seen[found][2])) found = i;
  });
  return found;
}

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  const caption = document.createElement("div");
  canvas.className = "gadlib-molecule";
  caption.className = "gadlib-caption";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const height = model.get("is_small") ? "130px" : "clamp(260px, 30cqw, 460px)";
  canvas.style.cssText = `display:block;width:100%;height:${height};touch-action:none;cursor:grab`;
  el.append(canvas, caption);
  const pen = canvas.getContext("2d");
  let zoom = 1;
  let held = null;
  let shown = null;
  let is_animated = false;

  function draw(now) {
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
    if (canvas.width !== width * ratio) canvas.width = width * ratio;
    if (canvas.height !== height * ratio) canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const is_moving = model.get("is_vibrating") && model.get("mode").length > 0;
    const phase = is_moving ? Math.sin((2 * Math.PI * (now ?? performance.now())) / PERIOD_MS) : 0;
    shown = project(model, model.get("view"), zoom, [width, height], phase);
    paint(pen, model, shown);
    tell(is_moving);
    if (is_moving && !is_animated) animate();
  }

  function tell(is_moving) {
    caption.textContent = model.get("caption");
    canvas.setAttribute("aria-label", model.get("caption"));
    const places = shown.flat.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    Object.assign(canvas.dataset, { atoms: shown.flat.length, places, vibrating: is_moving });
  }

  function animate() {
    is_animated = true;
    requestAnimationFrame((now) => {
      is_animated = false;
      if (canvas.isConnected && model.get("is_vibrating")) draw(now);
    });
  }

  function look(view) {
    model.set("view", view);
    draw();
  }

  function pick(event) {
    const box = canvas.getBoundingClientRect();
    const atom = hit(model, shown, [event.clientX - box.left, event.clientY - box.top]);
    if (atom < 0) return;
    model.set("clicked", [atom, model.get("clicked")[1] + 1]);
    model.save_changes();
  }

  canvas.addEventListener("pointerdown", (event) => {
    held = { at: [event.clientX, event.clientY], from: [event.clientX, event.clientY] };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", (event) => {
    const is_click = held && Math.hypot(event.clientX - held.from[0], event.clientY - held.from[1]) < STILL;
    held = null;
    if (is_click) pick(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [dx, dy] = [event.clientX - held.at[0], event.clientY - held.at[1]];
    held.at = [event.clientX, event.clientY];
    look(turned(model.get("view"), dx, dy));
  });
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab's own keys move between cells
    look(turned(model.get("view"), ...KEYS[event.key]));
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom = Math.min(8, Math.max(0.2, zoom * Math.exp(-event.deltaY / 500)));
      draw();
    },
    { passive: false },
  );
  const redraw = () => draw();
  const asked = ["revision", "view", "picked", "look", "is_numbered", "is_vibrating"];
  asked.forEach((name) => model.on(`change:${name}`, redraw));
  const watch = new ResizeObserver(redraw);
  watch.observe(canvas);
  draw();
  return () => {
    watch.disconnect();
    asked.forEach((name) => model.off(`change:${name}`, redraw));
  };
}

export default { render };
