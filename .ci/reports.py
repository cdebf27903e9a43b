"""Adds up Maven's test reports; fails on a failure, on a skipped test, and on no test at all."""

import glob
import sys
import xml.etree.ElementTree as ElementTree

total = failed = 0
skipped = []
for folder in sys.argv[1:]:
    for path in sorted(glob.glob(folder + "/TEST-*.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            total += 1
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            reason = case.find("skipped")
            if reason is not None:
                skipped.append((case.get("classname"), case.get("name"), reason.get("message")))

for classname, name, message in skipped:
    print(f"skipped: {classname}.{name}: {message}", file=sys.stderr)
print(f"{total - failed - len(skipped)} passed, {failed} failed, {len(skipped)} skipped")
if total == 0:
    sys.exit("no test ran")
if failed or skipped:
    sys.exit(1)
