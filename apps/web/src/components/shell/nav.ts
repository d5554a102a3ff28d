import { Activity, BrainCircuit, CandlestickChart, DatabaseZap, LayoutDashboard, ListOrdered, Settings2, ShieldAlert, WalletCards, type LucideIcon } from "lucide-react";
import type { MessageKey } from "@/lib/i18n/en";

export interface NavItem {
  href: string;
  label: MessageKey;
  icon: LucideIcon;
  testId: string;
}

/** The nine pages, in the order a day goes: what is, why, what is held, then what is behind it. */
export const NAV: readonly NavItem[] = [
  { href: "/dashboard/", label: "nav.dashboard", icon: LayoutDashboard, testId: "nav-dashboard" },
  { href: "/signals/", label: "nav.signals", icon: Activity, testId: "nav-signals" },
  { href: "/symbol/", label: "nav.symbol", icon: CandlestickChart, testId: "nav-symbol" },
  { href: "/positions/", label: "nav.positions", icon: WalletCards, testId: "nav-positions" },
  { href: "/orders/", label: "nav.orders", icon: ListOrdered, testId: "nav-orders" },
  { href: "/training/", label: "nav.training", icon: BrainCircuit, testId: "nav-training" },
  { href: "/risk/", label: "nav.risk", icon: ShieldAlert, testId: "nav-risk" },
  { href: "/data-quality/", label: "nav.data_quality", icon: DatabaseZap, testId: "nav-data-quality" },
  { href: "/settings/", label: "nav.settings", icon: Settings2, testId: "nav-settings" },
];

/** `/symbol/BTCUSDT/` belongs to `/symbol/`. */
export function isCurrent(href: string, pathname: string | null): boolean {
  return pathname !== null && (pathname === href || `${pathname}/` === href || pathname.startsWith(href));
}
