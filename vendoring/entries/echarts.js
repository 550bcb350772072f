import { BarChart, BoxplotChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
    AriaComponent,
    BrushComponent,
    DataZoomComponent,
    DatasetComponent,
    GridComponent,
    LegendComponent,
    MarkAreaComponent,
    MarkLineComponent,
    MarkPointComponent,
    ParallelComponent,
    TooltipComponent,
    VisualMapComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";

use([
    AriaComponent,
    BarChart,
    BoxplotChart,
    BrushComponent,
    CanvasRenderer,
    DataZoomComponent,
    DatasetComponent,
    GridComponent,
    LegendComponent,
    LineChart,
    MarkAreaComponent,
    MarkLineComponent,
    MarkPointComponent,
    ParallelChart,
    ParallelComponent,
    SVGRenderer,
    ScatterChart,
    TooltipComponent,
    VisualMapComponent,
]);

export { graphic } from "echarts/core";
export { init };
