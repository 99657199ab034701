/* node installed_binary.mjs SYSTEM LOG: makes LOG.command, which is the rollcall of that system (a folder), with its
 * libraries, and under strace, which notes in LOG every system call that the unit in there would refuse. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { allowedCalls, watched } from './package.mjs';

const [system, log] = process.argv.slice(2);
const units = ['lib', 'usr/lib'].map((place) => join(system, place, 'systemd/system/rollcall.service'));
watched('/usr/bin/rollcall', allowedCalls(units.find(existsSync)), { log, within: system });
