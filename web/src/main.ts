/** Starts the app. */

import { mount } from "svelte";

import "./base.css";
import { trustOwnScripts } from "./state/trusted.ts";
import App from "./views/App.svelte";

trustOwnScripts();
const target = document.querySelector("#app");
if (target === null) throw new Error("index.html has a place for the app");
mount(App, { target });
