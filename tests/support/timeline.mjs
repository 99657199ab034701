/* A timeline for people: what happened, when, and what was seen. Printed as the test's output when it ends. */

export class Timeline {
    constructor(title) {
        this.title = title;
        this.began = Date.now();
        this.rows = [];
    }

    /* `then`: what incident.md says of 2020; `now`: what happened here. */
    add(then, now) {
        this.rows.push({ at: Date.now() - this.began, then, now });
    }

    print() {
        const wrap = (text, width) => text.split(' ').reduce((lines, word) => {
            if (`${lines.at(-1)} ${word}`.length <= width)
                lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim();
            else
                lines.push(word);
            return lines;
        }, ['']);
        const text = [`\n  ${this.title}\n`, `  ${'18 March 2020'.padEnd(46)}  ${'here'.padStart(8)}`];
        for (const { at, then, now } of this.rows) {
            const [left, right] = [wrap(then, 44), wrap(now, 66)];
            for (let i = 0; i < Math.max(left.length, right.length); i++)
                text.push(`  ${(left[i] ?? '').padEnd(46)}  ${i ? ' '.repeat(8) : `${(at / 1000).toFixed(1)} s`.padStart(8)}  ${right[i] ?? ''}`);
        }
        console.log(`${text.join('\n')}\n`);
    }
}
