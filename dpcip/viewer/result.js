// The page of a result: the depth under the pointer, refocusing, the view in space. Plain JavaScript; THREE is vendored.
"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { width, height } = data;
const n = width * height;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// ---- maps: whole numbers packed by page.py ----

async function unpack(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const halves = new Uint8Array(await new Response(stream).arrayBuffer());
  const numbers = new Uint16Array(n);
  let last = 0;
  for (let i = 0; i < n; i++) numbers[i] = last += (halves[i] << 8) | halves[n + i]; // modulo 65536, both ways
  return numbers;
}

const between = ({ range: [low, high], levels }, level) => low + (level / levels) * (high - low);
const dioptres = (i) => between(data.depth, maps.depth[i]);
const spread = (i) => Math.exp(between(data.std, maps.std[i]));

function metres(value) {
  if (!(value < 1e5)) return "∞";
  return `${value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 0)} m`;
}

// One standard deviation to either side; in metres the two differ, and the far one may be infinite.
function withSpread(i) {
  const inverse = dioptres(i), std = spread(i), z = 1 / inverse;
  if (std < inverse / 4) return `${metres(z)} ± ${metres(z * z * std)}`;
  return `${metres(z)} (${metres(1 / (inverse + std))} to ${metres(1 / Math.max(inverse - std, 0))})`;
}

let maps = {};

// ---- depth under the pointer ----

function setUpDepth() {
  const canvas = byId("depth"), probe = byId("probe"), context = canvas.getContext("2d");
  canvas.width = width;
  canvas.height = height;
  let at = [width >> 1, height >> 1];

  function draw(which) {
    if (which === "sharp") {
      context.drawImage(picture, 0, 0, width, height);
    } else {
      const colours = Uint8Array.from(atob(data[which].colours), (c) => c.charCodeAt(0));
      const drawn = context.createImageData(width, height), pixels = drawn.data;
      const factor = 255 / data[which].levels;
      for (let i = 0; i < n; i++) {
        const colour = 3 * Math.round(maps[which][i] * factor);
        pixels[4 * i] = colours[colour];
        pixels[4 * i + 1] = colours[colour + 1];
        pixels[4 * i + 2] = colours[colour + 2];
        pixels[4 * i + 3] = 255;
      }
      context.putImageData(drawn, 0, 0);
    }
    for (const scale of document.querySelectorAll(".scale")) scale.hidden = scale.dataset.of !== which;
  }

  function read(x, y) {
    at = [clamp(x, 0, width - 1), clamp(y, 0, height - 1)];
    const i = at[1] * width + at[0];
    byId("cross").style.left = `${(100 * (at[0] + 0.5)) / width}%`;
    byId("cross").style.top = `${(100 * (at[1] + 0.5)) / height}%`;
    const [column, row] = at.map((value) => Math.floor((value + 0.5) / data.scale));
    byId("depth-at").textContent = withSpread(i);
    byId("pixel-at").textContent = `at column ${column}, row ${row}`;
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    read(
      Math.floor(((event.clientX - box.left) / box.width) * width),
      Math.floor(((event.clientY - box.top) / box.height) * height),
    );
  }

  probe.addEventListener("pointermove", point);
  probe.addEventListener("pointerdown", point);
  probe.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const factor = event.shiftKey ? 10 : 1;
    read(at[0] + factor * step[0], at[1] + factor * step[1]);
  });
  for (const radio of document.querySelectorAll("[name=map]")) radio.addEventListener("change", () => draw(radio.value));

  const ends = (which, words) =>
    document.querySelectorAll(`[data-of=${which}] span`).forEach((span, k) => (span.textContent = words[k]));
  const inverse = (part) => between(data.depth, part * data.depth.levels);
  ends("depth", [`far, ${metres(1 / inverse(0))}`, metres(1 / inverse(0.5)), `near, ${metres(1 / inverse(1))}`]);
  const rad = (part) => `± ${(Math.exp(between(data.std, part * data.std.levels)) / data.dioptresPerPsi).toPrecision(2)} rad`;
  ends("std", [rad(0), rad(0.5), rad(1)]);
  draw("depth");
  read(...at);
}

// ---- refocusing: layers of equal depth, each blurred by the disc that its defocus makes, laid from far to near ----

const LAYERS = 24;
const SCREEN = `
  out vec2 at;
  uniform float flip;
  void main() {
    at = vec2(position.x, position.y * flip) * 0.5 + 0.5;
    gl_Position = vec4(position.xy, 0.0, 1.0);
  }`;
// A pixel belongs to its own layer and to the one behind it, so that no gap opens between the two on a slanted surface.
const BLUR = `
  in vec2 at;
  out vec4 colour;
  uniform sampler2D image, near;
  uniform vec2 pixel;
  uniform float radius, low, high, coarser;
  uniform int samples;
  void main() {
    vec4 sum = vec4(0.0);
    for (int i = 0; i < samples; i++) { // a spiral fills the disc evenly
      float angle = 2.3999632 * float(i);
      vec2 from = at + pixel * radius * sqrt(float(i) / float(samples)) * vec2(cos(angle), sin(angle));
      float here = texture(near, from).r;
      if (here >= low && here < high) sum += vec4(texture(image, from, coarser).rgb, 1.0);
    }
    colour = sum / float(samples);
  }`;
const DEVELOP = `
  in vec2 at;
  out vec4 colour;
  uniform sampler2D light;
  uniform bool linear;
  void main() {
    vec4 seen = texture(light, at);
    vec3 rgb = seen.rgb / max(seen.a, 1e-3); // behind an edge nothing is known: its surroundings fill it
    colour = vec4(linear ? rgb : mix(12.92 * rgb, 1.055 * pow(max(rgb, 0.0031308), vec3(1.0 / 2.4)) - 0.055,
                                     step(0.0031308, rgb)), 1.0);
  }`;

// Three.js asks a picture for its width, which of one on the page is what it is shown at: so this one is on none.
const picture = new Image();
picture.src = byId("sharp").src;

function imageTexture() {
  const texture = new THREE.Texture(picture);
  texture.generateMipmaps = true;
  texture.minFilter = THREE.LinearMipmapLinearFilter;
  texture.needsUpdate = true;
  return texture;
}

// Pixels that a canvas needs for where it stands, and no more than the picture has.
function shownSize(canvas) {
  const wanted = canvas.clientWidth * Math.min(window.devicePixelRatio, 2);
  const factor = Math.min(1, wanted / width);
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

function setUpRefocus() {
  const canvas = byId("refocus");
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: false });
  renderer.autoClear = false;
  const image = imageTexture();
  image.flipY = false;
  image.colorSpace = data.linear ? "" : THREE.SRGBColorSpace; // the graphics card makes light of sRGB
  const near = new THREE.DataTexture(
    Float32Array.from(maps.depth, (level) => level / data.depth.levels), width, height, THREE.RedFormat, THREE.FloatType);
  near.needsUpdate = true;
  const light = new THREE.WebGLRenderTarget(1, 1, { type: THREE.HalfFloatType, depthBuffer: false });
  const material = (fragmentShader, uniforms, more) =>
    new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3, vertexShader: SCREEN, fragmentShader, depthTest: false, depthWrite: false, ...more,
      uniforms: Object.fromEntries(Object.entries(uniforms).map(([name, value]) => [name, { value }])),
    });
  const over = {
    blending: THREE.CustomBlending, blendSrc: THREE.OneFactor, blendDst: THREE.OneMinusSrcAlphaFactor, transparent: true,
  };
  const blur = material(
    BLUR, { image, near, pixel: [0, 0], radius: 0, low: 0, high: 0, coarser: 0, samples: 1, flip: 1 }, over);
  const develop = material(
    DEVELOP, { light: light.texture, linear: data.linear, flip: -1 }, { blending: THREE.NoBlending });
  const screen = new THREE.Mesh(new THREE.PlaneGeometry(2, 2), blur);
  const scene = new THREE.Scene().add(screen), camera = new THREE.OrthographicCamera();
  screen.frustumCulled = false;

  const [farthest, nearest] = data.depth.range;
  const filled = new Array(LAYERS + 2).fill(false);
  for (let i = 0; i < n; i++) filled[Math.min(LAYERS - 1, Math.floor((maps.depth[i] / data.depth.levels) * LAYERS))] = true;

  const focus = byId("focus"), aperture = byId("aperture");
  const focusOf = () => farthest + (focus.value / 1000) * (nearest - farthest); // 1/m
  // Up to a disc with a radius of a tenth of the picture's width, for the depth's whole range.
  const widest = clamp((0.1 * width) / Math.max(data.blur * (nearest - farthest), 1e-9), 2, 64);
  const factorOf = () => (aperture.value / 100) ** 2 * widest;
  let mostSamples = 24;

  function draw(fine) {
    const [columns, rows] = shownSize(canvas);
    renderer.setSize(columns, rows, false);
    light.setSize(columns, rows);
    const perDioptre = data.blur * factorOf() * (columns / width);
    blur.uniforms.pixel.value = [1 / columns, 1 / rows];
    screen.material = blur;
    renderer.setRenderTarget(light);
    renderer.setClearColor(0, 0);
    renderer.clear();
    const thick = (nearest - farthest) / LAYERS;
    for (let k = 0; k < LAYERS; k++) {
      if (!filled[k] && !filled[k + 1]) continue;
      const off = Math.abs(farthest + (k + 0.5) * thick - focusOf());
      const radius = perDioptre * Math.max(0, off - thick / 2); // the layer in focus is sharp, all of it
      const most = fine ? Math.max(4 * mostSamples, 64) : mostSamples;
      const samples = radius < 0.5 ? 1 : Math.round(clamp(2 * radius * radius, 6, most));
      const u = blur.uniforms;
      u.radius.value = radius;
      u.samples.value = samples;
      u.coarser.value = Math.max(0, Math.log2((radius * 0.8) / Math.sqrt(samples))); // a blurrier picture between samples
      u.low.value = k === 0 ? -1 : k / LAYERS;
      u.high.value = k >= LAYERS - 2 ? 2 : (k + 2) / LAYERS;
      renderer.render(scene, camera);
    }
    renderer.setRenderTarget(null);
    screen.material = develop;
    renderer.render(scene, camera);
    if (fine) canvas.dataset.drawn = "finely";
    byId("focus-at").textContent = metres(1 / focusOf());
    byId("aperture-at").textContent = factorOf() === 0 ? "a pinhole" : `${factorOf().toFixed(1)} × the camera's`;
  }

  // Coarse while a slider moves, and only as fine at rest as this graphics card does within some tenths of a second.
  let waiting = false, resting = 0;
  function redraw() {
    canvas.dataset.drawn = "coarsely";
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const begin = performance.now();
      draw(false);
      renderer.getContext().readPixels(0, 0, 1, 1, 6408, 5121, new Uint8Array(4)); // waits for the card
      mostSamples = clamp(Math.round((mostSamples * 60) / Math.max(performance.now() - begin, 5)), 8, 24);
      clearTimeout(resting);
      resting = setTimeout(() => draw(true), 150);
    });
  }
  focus.value = 1000 * clamp((data.focus - farthest) / (nearest - farthest || 1), 0, 1);
  aperture.value = 100 * Math.sqrt(1 / widest); // the camera's own
  for (const slider of [focus, aperture]) slider.addEventListener("input", redraw);
  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = clamp(Math.floor(((event.clientX - box.left) / box.width) * width), 0, width - 1);
    const row = clamp(Math.floor(((event.clientY - box.top) / box.height) * height), 0, height - 1);
    focus.value = (1000 * maps.depth[row * width + column]) / data.depth.levels;
    redraw();
  });
  new ResizeObserver(redraw).observe(canvas);
}

// ---- in space: a surface through the pixels, cut where the depth jumps ----

const VERTICES = 250000;
const USUAL_VIEW = 0.6; // width over focal length of a usual lens; a longer one makes a scene too deep to look at

// Single pixels that stick out would be needles; the median keeps edges.
const around = new Uint16Array(9);
function medianAround(x, y) {
  let k = 0;
  for (let row = y - 1; row <= y + 1; row++)
    for (let column = x - 1; column <= x + 1; column++)
      around[k++] = maps.depth[clamp(row, 0, height - 1) * width + clamp(column, 0, width - 1)];
  return around.sort()[4];
}

function surface() {
  const step = Math.max(1, Math.ceil(Math.sqrt(n / VERTICES)));
  const columns = Math.floor((width - 1) / step) + 1, rows = Math.floor((height - 1) / step) + 1;
  const places = new Float32Array(3 * columns * rows), corners = new Float32Array(2 * columns * rows);
  const levels = new Uint16Array(columns * rows);
  for (let row = 0, k = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, k++) {
      levels[k] = medianAround(column * step, row * step);
      // Infinity is drawn at twenty times the nearest depth.
      const z = 1 / Math.max(between(data.depth, levels[k]), data.depth.range[1] / 20);
      places.set([((column * step - width / 2) * z) / width, ((height / 2 - row * step) * z) / width, -z], 3 * k);
      corners.set([(column * step + 0.5) / width, 1 - (row * step + 0.5) / height], 2 * k);
    }
  }
  // A jump: a twentieth of the whole range, or more where neighbours differ by much everywhere.
  const differences = levels.slice(1).map((level, k) => Math.abs(level - levels[k])).sort();
  const jump = Math.max(data.depth.levels / 20, 3 * differences[Math.floor(0.9 * differences.length)]);
  const triangles = [];
  const add = (a, b, c) => {
    const [x, y, z] = [levels[a], levels[b], levels[c]];
    if (Math.max(x, y, z) - Math.min(x, y, z) <= jump) triangles.push(a, b, c);
  };
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const k = row * columns + column;
      add(k, k + columns, k + 1);
      add(k + 1, k + columns, k + columns + 1);
    }
  }
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(places, 3));
  geometry.setAttribute("uv", new THREE.BufferAttribute(corners, 2));
  geometry.setIndex(new THREE.BufferAttribute(Uint32Array.from(triangles), 1));
  return geometry;
}

function setUpSpace() {
  const canvas = byId("space"), stretch = byId("stretch"), swing = byId("swing");
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
  const image = imageTexture();
  image.colorSpace = THREE.SRGBColorSpace;
  const mesh = new THREE.Mesh(surface(), new THREE.MeshBasicMaterial({ map: image, side: THREE.DoubleSide }));
  const scene = new THREE.Scene().add(mesh);

  // Through a long lens the scene is a deep tunnel. So depth is squeezed to a part of its extent, which makes it the
  // scene of a usual lens at the same place; the slider goes from a quarter of that to four times it, or to true scale.
  const across = data.focal ? width / data.focal : USUAL_VIEW; // width of the view over its distance
  const usual = Math.min(1, across / USUAL_VIEW);
  const [flattest, deepest] = [usual / 4, Math.min(1, 4 * usual)];
  const partOf = (value) => flattest * (deepest / flattest) ** (value / 100);
  const middle = 1 / between(data.depth, maps.depth.slice().sort()[n >> 1]) || 20 / data.depth.range[1];
  const away = Math.min(middle, 20 / data.depth.range[1]);
  const upright = 2 * Math.atan((0.6 * Math.max(across, USUAL_VIEW) * height) / width);
  const camera = new THREE.PerspectiveCamera((upright * 180) / Math.PI, width / height, 0.02 * away * usual, 50 * away);
  const controls = new THREE.OrbitControls(camera, canvas);
  controls.minPolarAngle = 0.2 * Math.PI;
  controls.maxPolarAngle = 0.8 * Math.PI;

  const draw = () => renderer.render(scene, camera);
  function squeeze() {
    const part = partOf(stretch.value);
    mesh.scale.set(across, across, part);
    mesh.position.z = away * part; // what turns stays where the middle of the scene is
    byId("stretch-at").textContent = part < 1 ? `${Math.round(100 * part)} % of true scale` : "to scale";
    draw();
  }
  function front() {
    stretch.value = (100 * Math.log(usual / flattest)) / Math.log(deepest / flattest);
    camera.position.set(0, 0, away * usual); // where the lens was
    controls.target.set(0, 0, 0);
    controls.update();
    squeeze();
  }
  function resize() {
    const [columns, rows] = shownSize(canvas);
    const sharper = Math.max(1, Math.ceil(canvas.clientWidth / columns)); // a small picture's edges are drawn finer
    renderer.setSize(columns * sharper, rows * sharper, false);
    draw();
  }

  let begun = 0, swung = 0;
  function turn(now) {
    if (swing.getAttribute("aria-pressed") !== "true") return;
    begun ||= now;
    const angle = 0.4 * Math.sin((now - begun) / 1500);
    controls.rotateLeft(angle - swung);
    swung = angle;
    requestAnimationFrame(turn);
  }
  function setSwing(on) {
    swing.setAttribute("aria-pressed", on);
    begun = swung = 0;
    if (on) requestAnimationFrame(turn);
  }
  const keys = {
    ArrowLeft: () => controls.rotateLeft(0.08), ArrowRight: () => controls.rotateLeft(-0.08),
    ArrowUp: () => controls.rotateUp(0.08), ArrowDown: () => controls.rotateUp(-0.08),
    "+": () => controls.dollyIn(0.9), "-": () => controls.dollyOut(0.9), Home: front,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    setSwing(false);
    keys[event.key]();
  });
  controls.addEventListener("change", draw);
  controls.addEventListener("start", () => setSwing(false));
  stretch.addEventListener("input", squeeze);
  swing.addEventListener("click", () => setSwing(swing.getAttribute("aria-pressed") !== "true"));
  byId("front").addEventListener("click", () => (setSwing(false), front()));
  new ResizeObserver(resize).observe(canvas);
  front();
  controls.rotateLeft(0.22);
  controls.rotateUp(0.08);
}

// ---- the page ----

function warning(text) {
  const words = document.createElement("p");
  words.className = "warning";
  words.textContent = text;
  return words;
}

function attempt(id, setUp) {
  try {
    setUp();
  } catch (error) {
    console.warn(error);
    byId(id).replaceWith(warning("This browser shows no WebGL graphics; another one, or one with graphics turned on, does."));
  }
}

for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const large = button.closest(".card").classList.toggle("large");
    button.setAttribute("aria-pressed", large);
  });
}

async function begin() {
  await Promise.all([picture, byId("capture"), byId("sharp")].map((image) => image.decode()));
  maps = { depth: await unpack("depth-packed"), std: await unpack("std-packed") };
  setUpDepth();
  attempt("refocus", setUpRefocus);
  attempt("space", setUpSpace);
  document.body.dataset.ready = "yes";
}
begin().catch((error) => {
  console.warn(error);
  document.querySelector("header").append(warning("This browser is too old for the depth; one of 2023 or later shows it."));
});
