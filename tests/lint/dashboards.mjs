// Prints the dashboards as TypeScript, in which tsc compares them with the types of Grafana.
import { readFileSync } from "node:fs";

console.log(`
import type { AnnotationQuery, Dashboard, FieldConfig, Panel, RowPanel } from "@grafana/schema";
import type { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type {
  FieldConfig as GraphStyle,
  Options as GraphOptions,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has the values of enums.
type Plain<Value> = Value extends string
  ? \`\${Value}\`
  : Value extends object
    ? { [Key in keyof Value]: Plain<Value[Key]> }
    : Value;
type Fields<Style> = { defaults: Omit<FieldConfig, "custom"> & { custom?: Partial<Style> }; overrides: [] };
type OfType<Type, Options, Style> = Omit<Panel, "type" | "options" | "fieldConfig"> & {
  type: Type;
  options: Partial<Options>;
  fieldConfig: Fields<Style>;
};
type Panels = RowPanel | OfType<"stat", StatOptions, never> | OfType<"timeseries", GraphOptions, GraphStyle>;
// What the plugin of Prometheus adds to an annotation.
type Annotation = AnnotationQuery & { expr: string; step: string; titleFormat: string; useValueForTime: boolean };
type Shipped = Omit<Dashboard, "annotations" | "panels"> & { annotations: { list: Annotation[] }; panels: Panels[] };
`);
for (const [number, path] of process.argv.slice(2).entries())
  console.log(`// ${path}\nexport const dashboard${number}: Plain<Shipped> = ${readFileSync(path, "utf8")};`);
