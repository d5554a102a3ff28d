import type { NextConfig } from "next";
import { fileURLToPath } from "node:url";

/** A static export: the API serves `out/`, so that running the desk needs no Node process. */
const config: NextConfig = {
  output: "export",
  trailingSlash: true,
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
  // The lock file of this folder is the root, whatever lies above it.
  turbopack: { root: fileURLToPath(new URL(".", import.meta.url)) },
};

export default config;
