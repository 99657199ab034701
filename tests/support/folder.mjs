/* Folders that are gone when the test's process ends. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = [];

process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

export function temporaryFolder() {
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-test-'));
    folders.push(folder);
    return folder;
}
