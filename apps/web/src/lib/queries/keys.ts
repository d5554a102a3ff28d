/** One key per resource: what the socket writes and the pages read must be the same entry. */
export const keys = {
  status: ["status"] as const,
  universe: ["universe"] as const,
  account: ["account", "latest"] as const,
  equity: ["account", "equity"] as const,
  positions: ["positions", "latest"] as const,
  signals: ["signals", "latest"] as const,
  orders: ["orders"] as const,
  trades: ["trades"] as const,
  jobs: ["training", "jobs"] as const,
  models: ["models"] as const,
  drift: ["drift"] as const,
  series: (symbol: string, window: string) => ["series", symbol, window] as const,
};
