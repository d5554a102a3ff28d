/** What every page may ask about the connection. Filled by the shell's provider. */
import { createContext, useContext } from "react";
import type { Connection } from "@/lib/domain/health";

export const ConnectionContext = createContext<Connection>("connecting");

export function useConnection(): Connection {
  return useContext(ConnectionContext);
}
