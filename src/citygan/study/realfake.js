"use strict";
// One session: practice with feedback, then the trials that count, then the results as a file.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const canvas = at("picture");
const context = canvas.getContext("2d");

// The session: which algorithm, in which order. #set=2&seed=7 fixes them, else they are drawn.
const wanted = new URLSearchParams(location.hash.slice(1));
const chance = crypto.getRandomValues(new Uint32Array(6));
const whole = (text, low, high) => (/^\d{1,10}$/.test(text ?? "") && +text >= low && +text <= high ? +text : null);
const set = whole(wanted.get("set"), 1, data.sets.length) ?? (chance[0] % data.sets.length) + 1;
const seed = whole(wanted.get("seed"), 0, 0xffffffff) ?? chance[1];
const session = [...chance.slice(2)].map((number) => number.toString(16).padStart(8, "0")).join("");

function* numbers(state) { // mulberry32, as citygan recomputes it
  for (;;) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    yield (t ^ (t >>> 14)) >>> 0;
  }
}

function inOrder() {
  const draw = numbers(seed);
  const next = () => draw.next().value;
  const shuffled = (list) => {
    const order = [...list];
    for (let i = order.length - 1; i > 0; i--) {
      const j = next() % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };
  const of = data.sets[set - 1];
  const trials = [...shuffled(of.practice), ...shuffled(of.trials)];
  return trials.map((trial) => ({ trial, first: next() >>> 31 }));
}

// The pictures

const frame = () => new Promise((go) => requestAnimationFrame(go));
const pause = (ms) => new Promise((go) => setTimeout(go, ms));
const clear = () => context.clearRect(0, 0, canvas.width, canvas.height);

async function decoded(trial) {
  const image = new Image();
  image.src = "data:image/png;base64," + trial.png;
  await image.decode();
  return image;
}

async function inSight() {
  while (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
}

// Shows one half for as long as the page says, by the display's own clock. Gives the milliseconds, and whether the page
// went out of sight meanwhile, which ends it.
async function expose(image, half) {
  await inSight();
  const start = await frame();
  const { width, height } = canvas;
  context.drawImage(image, 0, half * height, width, height, 0, 0, width, height);
  let hidden = false;
  let leave;
  const gone = new Promise((go) => { // frames stop where a page is out of sight
    leave = () => { hidden = true; clear(); go(performance.now()); };
    document.addEventListener("visibilitychange", leave, { once: true });
  });
  let now = start;
  while (!hidden && now - start < data.show_ms - 4) now = await Promise.race([frame(), gone]);
  clear();
  document.removeEventListener("visibilitychange", leave);
  return [Math.round(Math.max(now - start, 0)), hidden];
}

// What is asked

function say(text) { at("line").textContent = text; }

function show(...ids) {
  for (const id of ["intro", "stage", "answers", "next", "end"]) at(id).hidden = !ids.includes(id);
}

function answered() {
  const start = performance.now();
  return new Promise((go) => {
    const take = (answer) => {
      document.removeEventListener("keydown", press);
      at("one").onclick = at("two").onclick = null;
      go([answer, Math.round(performance.now() - start)]);
    };
    const press = (event) => {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "1" || event.key === "ArrowLeft") take(1);
      if (event.key === "2" || event.key === "ArrowRight") take(2);
    };
    document.addEventListener("keydown", press);
    at("one").onclick = () => take(1);
    at("two").onclick = () => take(2);
  });
}

function pressed(id) {
  at(id).focus({ preventScroll: true });
  return new Promise((go) => { at(id).onclick = go; });
}

// The session

async function run() {
  const practice = data.sets[set - 1].practice.length;
  const order = inOrder();
  const results = [];
  let coming = decoded(order[0].trial);
  show("intro");
  await pressed("start");
  addEventListener("beforeunload", stay);
  for (const [index, { trial, first }] of order.entries()) {
    const image = await coming;
    if (index === practice) {
      at("next").textContent = "Go on";
      show("stage", "next");
      say("That was the practice. From here on you are not told whether you were right.");
      await pressed("next");
    }
    const part = index < practice ? `Practice, pair ${index + 1} of ${practice}` : `Pair ${index + 1 - practice} of ${order.length - practice}`;
    at("progress").textContent = part;
    show("stage");
    say("");
    await pause(data.before_ms);
    say("The first");
    const [firstMs, firstHidden] = await expose(image, first);
    say("");
    await pause(data.between_ms);
    say("The second");
    const [secondMs, secondHidden] = await expose(image, 1 - first);
    if (index + 1 < order.length) {
      coming = decoded(order[index + 1].trial);
      coming.catch(() => {});
    }
    show("stage", "answers");
    say("Which one was the fake?");
    const [answer, ms] = await answered();
    results.push({
      id: trial.id, first, answer, answer_ms: ms, shown_ms: [firstMs, secondMs], hidden: firstHidden || secondHidden,
    });
    if (index < practice) {
      const fake = trial.fake === first ? 1 : 2;
      say((answer === fake ? "Right: the " : "Wrong: the ") + (fake === 1 ? "first" : "second") + " was the fake.");
      at("next").textContent = "Next pair";
      show("stage", "next");
      await pressed("next");
    }
  }
  finish(results);
}

function finish(trials) {
  const record = { format: data.format, version: data.version, page: data.page, session, set, seed, trials };
  const text = JSON.stringify({ ...record, check: checkOf(record) }, null, 1) + "\n";
  const link = at("download");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "real-or-fake-" + session.slice(0, 8) + ".json";
  link.onclick = () => removeEventListener("beforeunload", stay);
  at("text").value = text;
  show("end");
  say("");
  at("progress").textContent = "";
  link.focus({ preventScroll: true });
}

function checkOf(record) {
  const lines = [record.page, record.session, record.set, record.seed];
  for (const t of record.trials) {
    lines.push([t.id, t.first, t.answer, t.answer_ms, ...t.shown_ms, t.hidden ? 1 : 0].join(":"));
  }
  let crc = -1; // CRC-32
  for (const character of lines.join("\n")) {
    crc ^= character.charCodeAt(0);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

function stay(event) {
  event.preventDefault();
  event.returnValue = "";
}

run().catch(() => {
  show();
  say("This page cannot show its pictures: the file is damaged, or this browser is too old.");
});
