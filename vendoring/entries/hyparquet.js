export { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
