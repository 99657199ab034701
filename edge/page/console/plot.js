/* Small plots of numbers over time, drawn as SVG. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240, HEIGHT = 56;

function svg(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes))
        made.setAttribute(name, value);
    return made;
}

export function newPlot() {
    const plot = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    plot.append(svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), svg("path", { class: "under" }),
        svg("path", { class: "two" }), svg("path", { class: "one" }));
    return plot;
}

function line(points, x, y) {
    return points.map(([time, value], i) => `${i ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

/* series: one or two lists of [time, value]. From `from` to `to`, and from 0 to the largest value. */
export function draw(plot, series, from, to, words) {
    const top = Math.max(1, ...series.flat().map(([, value]) => value));
    const x = (time) => (time - from) / (to - from) * WIDTH;
    const y = (value) => HEIGHT - value / top * (HEIGHT - 3);
    const [one, two = []] = series.map((points) => points.filter(([time]) => time >= from));
    plot.querySelector(".one").setAttribute("d", line(one, x, y));
    plot.querySelector(".two").setAttribute("d", line(two, x, y));
    plot.querySelector(".under").setAttribute("d", one.length > 1
        ? `${line(one, x, y)}L${x(one.at(-1)[0]).toFixed(1)} ${HEIGHT}L${x(one[0][0]).toFixed(1)} ${HEIGHT}Z` : "");
    plot.setAttribute("aria-label", words);
}
