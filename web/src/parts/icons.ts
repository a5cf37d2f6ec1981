/** The icons of the app, drawn by Lucide (ISC licence): each name once, so that nothing else of the set is shipped. */

import {
  Archive, ArrowDown, ArrowUp, Check, ChevronDown, ChevronLeft, ChevronRight, CircleAlert, CloudUpload, Code, Copy, Download,
  EllipsisVertical, Eye, EyeOff, File, FileText, Folder, FolderInput, FolderPlus, FolderUp, History, House, Image, Info, Keyboard,
  LogOut, type IconNode, MonitorSmartphone, Moon, Music, Pause, Pencil, Play, Plus, RotateCcw, Search, Settings, Star, Sun, SunMoon,
  Table, Trash2, Undo2, Upload, Video, X, ZoomIn, ZoomOut,
} from "lucide";

/** The drawings by name. */
export const ICONS = {
  archive: Archive, "arrow-down": ArrowDown, "arrow-up": ArrowUp, check: Check, "chevron-down": ChevronDown,
  "chevron-left": ChevronLeft, "chevron-right": ChevronRight, alert: CircleAlert, drop: CloudUpload, code: Code, copy: Copy,
  download: Download, more: EllipsisVertical, show: Eye, hide: EyeOff, file: File, text: FileText, folder: Folder, move: FolderInput,
  "new-folder": FolderPlus, "upload-folder": FolderUp, versions: History, home: House, image: Image, info: Info, keyboard: Keyboard,
  "log-out": LogOut, devices: MonitorSmartphone, moon: Moon, music: Music, pause: Pause, rename: Pencil, play: Play, plus: Plus,
  retry: RotateCcw, search: Search, settings: Settings, star: Star, sun: Sun, "sun-moon": SunMoon, table: Table, trash: Trash2,
  undo: Undo2, upload: Upload, video: Video, close: X, "zoom-in": ZoomIn, "zoom-out": ZoomOut,
} satisfies Record<string, IconNode>;

/** The name of an icon. */
export type IconName = keyof typeof ICONS;
