/** The dashboard's beginning. */

import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/bar.css";
import "./styles/tiles.css";
import "./styles/chart.css";
import "./styles/lists.css";
import "./styles/dialogs.css";
import "./styles/layouts.css";

import { App } from "./app";

void new App().start();
