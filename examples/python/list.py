"""Lists the images of a registry with their dates, and where each date comes from.

usage: list.py URL [REPOSITORY...]     such as: list.py https://registry.example 'team/*'
"""

import sys

import tidewaiter as tw

if len(sys.argv) < 2:
    sys.exit(__doc__)
registry = tw.Registry.docker(sys.argv[1])
selection = tw.Selection(repositories=sys.argv[2:])
try:
    with tw.Scanner() as scanner:
        for image in scanner.images(registry, selection):
            print(image.repository, ",".join(image.tags), image.digest, image.date.time, f"({image.date.source})")
except tw.Error as error:
    sys.exit(f"{error}\n  {error.hint}" if error.hint else str(error))
