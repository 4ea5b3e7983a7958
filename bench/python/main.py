"""Benchmarks of the Python binding beside its peers: `python main.py [METRIC PREFIX] [ROUNDS]`.

Prints a table and writes target/bench.jsonl. Log lines go where a service's go, to stdout, which
is /dev/null here.
"""

from __future__ import annotations

import sys
from itertools import chain

from live import endpoint


def main() -> int:
    prefix = sys.argv[1] if len(sys.argv) > 1 else "python."
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    with endpoint() as table:
        # They read the environment, and stdout as it is now.
        import pipeline
        import tracebaton
        from cases import Host, extraction, lines, whole
        from measure import keep, run

        tracebaton.init("bench")
        host = Host()
        found = []
        print(f"{'metric':38}{'ours us':>10}{'peer us':>10}{'ratio':>9}  peer", file=table)
        cases = chain(extraction(), lines(host), whole(host), pipeline.cases(host))
        for case in cases:
            if case.metric.startswith(prefix):
                line = run(case, rounds)
                found.append(line)
                print(
                    f"{line['metric']:38}{line['ours']:>10}{line['peer']:>10}{line['ratio']:>9}"
                    f"  {line['peer_name']}",
                    file=table,
                )
        keep(found)
        host.provider.shutdown()
        report = tracebaton.shutdown()
        print(f"ours: {report}", file=table)
    return 0 if report.is_complete else 1


if __name__ == "__main__":
    sys.exit(main())
