// Calls Generation.Generate: node generate.mjs HOST:PORT MODEL TEXT. Prints one event a line.
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const definition = protoLoader.loadSync("catenary/v1/generation.proto", {
  includeDirs: [`${root}protos`, `${root}third_party/protos`],
  keepCase: true,
  enums: String,
  oneofs: true,
});
const { Generation } = grpc.loadPackageDefinition(definition).catenary.v1;

const [address, model, text] = process.argv.slice(2);
const client = new Generation(address, grpc.credentials.createInsecure());
const call = client.Generate(
  { model, messages: [{ role: "ROLE_USER", content: [{ text }] }] },
  { deadline: Date.now() + 60_000 },
);
call.on("data", (event) => console.log(JSON.stringify(event)));
call.on("error", (error) => {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
});
call.on("close", () => client.close());
