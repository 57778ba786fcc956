import { render } from "preact";
import { App } from "./app";
import { language } from "./words";
import "./style.css";

document.documentElement.lang = language();
render(<App />, document.getElementById("page") as HTMLElement);
