CREATE TABLE desk_commands (                           -- what an operator asks of one symbol in live trading
  command_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  author TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('close', 'pause', 'unpause')),
  symbol TEXT NOT NULL,
  reason TEXT NOT NULL,
  answered_at TIMESTAMPTZ,
  outcome TEXT                                         -- done, or why not
);
CREATE INDEX desk_commands_waiting ON desk_commands (command_id) WHERE answered_at IS NULL;
