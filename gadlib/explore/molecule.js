// A molecule as balls and sticks on a canvas: drag or arrow keys turn it, the wheel zooms.
// Everything is drawn here from numbers that Python sends; nothing is fetched.

const TURN = 0.01; // radians per pixel
const KEYS = { ArrowLeft: [-12, 0], ArrowRight: [12, 0], ArrowUp: [0, -12], ArrowDown: [0, 12] };

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

function ball(pen, x, y, radius, colour) {
  const shade = pen.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
  shade.addColorStop(0, "#ffffff");
  shade.addColorStop(0.35, colour);
  shade.addColorStop(1, colour);
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = shade;
  pen.fill();
  pen.lineWidth = 1;
  pen.strokeStyle = "#444444";
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
  stick(pen, from, [to[0] - head * Math.cos(angle), to[1] - head * Math.sin(angle)], 3, "#D55E00");
  pen.beginPath();
  pen.moveTo(to[0], to[1]);
  for (const side of [-0.45, 0.45]) {
    pen.lineTo(to[0] - head * 1.3 * Math.cos(angle + side), to[1] - head * 1.3 * Math.sin(angle + side));
  }
  pen.closePath();
  pen.fillStyle = "#D55E00";
  pen.fill();
}

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  const [width, height] = [model.get("width"), model.get("height")];
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.cssText = `width:${width}px;height:${height}px;cursor:grab;background:#ffffff;touch-action:none`;
  canvas.className = "gadlib-molecule";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  el.appendChild(canvas);
  const pen = canvas.getContext("2d");
  let view = turned([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 40, 30);
  let zoom = 1;
  let held = null;

  function draw() {
    const atoms = triples(model.get("positions"));
    const moves = triples(model.get("mode"));
    const [colours, radii] = [model.get("colours"), model.get("radii")];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    canvas.setAttribute("aria-label", model.get("caption"));
    canvas.dataset.atoms = atoms.length;
    if (!atoms.length) return;
    const centre = [0, 1, 2].map((k) => atoms.reduce((sum, a) => sum + a[k], 0) / atoms.length);
    const scale = (zoom * Math.min(width, height)) / (2 * model.get("extent"));
    const seen = atoms.map((a) => apply(view, a.map((v, k) => v - centre[k])));
    const flat = seen.map((p) => [width / 2 + scale * p[0], height / 2 - scale * p[1]]);
    const parts = seen.map((p, i) => ({
      depth: p[2],
      draw: () => ball(pen, flat[i][0], flat[i][1], scale * radii[i], colours[i]),
    }));
    const bonds = model.get("bonds");
    for (const [i, j] of bonds) {
      const middle = [(flat[i][0] + flat[j][0]) / 2, (flat[i][1] + flat[j][1]) / 2];
      parts.push({
        depth: (seen[i][2] + seen[j][2]) / 2 - 0.1,
        draw: () => {
          stick(pen, flat[i], flat[j], scale * 0.2, "#444444");
          stick(pen, flat[i], middle, scale * 0.15, colours[i]);
          stick(pen, middle, flat[j], scale * 0.15, colours[j]);
        },
      });
    }
    parts.sort((a, b) => a.depth - b.depth).forEach((part) => part.draw());
    moves.forEach((move, i) => {
      const end = apply(view, move);
      arrow(pen, flat[i], [flat[i][0] + scale * end[0], flat[i][1] - scale * end[1]]);
    });
    pen.fillStyle = "#444444";
    pen.font = "12px sans-serif";
    pen.fillText(model.get("caption"), 8, height - 8);
  }

  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    view = turned(view, event.clientX - held[0], event.clientY - held[1]);
    held = [event.clientX, event.clientY];
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    view = turned(view, ...KEYS[event.key]);
    draw();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom = Math.min(4, Math.max(0.3, zoom * Math.exp(-event.deltaY / 600)));
      draw();
    },
    { passive: false },
  );
  model.on("change:revision", draw);
  draw();
}

export default { render };
