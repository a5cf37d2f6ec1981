/**
 * What an owner hands over: files by a picker, folders by a picker, both by a drop.
 *
 * Folders are walked while their files are already on the way, so that a drop of thousands begins at once.
 */

/** A file, and the names of the folders that it was in, from the one that was dropped. */
export interface Dropped {
  readonly file: File;
  readonly folders: readonly string[];
}

/** A folder without anything in it is kept, too. */
export interface DroppedFolder {
  readonly file: undefined;
  readonly folders: readonly string[];
}

/** Files of a picker; one for folders tells where each of them was. */
export function picked(files: Iterable<File>): AsyncIterable<Dropped> {
  return each([...files].map((file) => ({ file, folders: file.webkitRelativePath.split("/").slice(0, -1) })));
}

/** What was dropped or pasted. Must be called before the event is over: the browser forgets it then. */
export function dropped(data: DataTransfer): AsyncIterable<Dropped | DroppedFolder> {
  const items = [...data.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry());
  // Files of the clipboard are no entries of a file system.
  if (entries.some((entry) => entry === null)) return picked(data.files);
  return walk(entries.filter((entry) => entry !== null), []);
}

/** Whether there are files in it: while something is dragged, more is not told. */
export function hasFiles(data: DataTransfer | null): boolean {
  return data?.types.includes("Files") ?? false;
}

async function* walk(entries: readonly FileSystemEntry[], folders: readonly string[]): AsyncGenerator<Dropped | DroppedFolder> {
  for (const entry of entries) {
    if (isFile(entry)) yield { file: await fileOf(entry), folders };
    else if (isFolder(entry)) {
      const inside = [...folders, entry.name];
      yield { file: undefined, folders: inside };
      yield* walk(await childrenOf(entry), inside);
    }
  }
}

async function* each(files: readonly Dropped[]): AsyncGenerator<Dropped> {
  for (const file of files) yield await Promise.resolve(file);
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => { entry.file(resolve, reject); });
}

/** A reader gives some of them at a time, and none when there are no more (File and Directory Entries API, section 7.2). */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (some.length === 0) return all;
    all.push(...some);
  }
}
