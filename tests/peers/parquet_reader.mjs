// Reads a Parquet file with hyparquet, and prints its schema and rows as JSON.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'

const bytes = readFileSync(process.argv[2])
const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
const compressors = { GZIP: (input) => gunzipSync(input) }
const metadata = parquetMetadata(file)
const rows = await parquetReadObjects({ file, compressors })
const schema = metadata.schema.slice(1).map((each) => [each.name, each.type, each.converted_type ?? null, each.repetition_type])
console.log(JSON.stringify({ schema, count: Number(metadata.num_rows), rows }, (_, value) => (typeof value === 'bigint' ? Number(value) : value)))
