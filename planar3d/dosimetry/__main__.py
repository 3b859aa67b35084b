"""``python -m planar3d.dosimetry study=study.yaml``: the command is `planar3d.absorbed_dose`."""

from planar3d.absorbed_dose import main

if __name__ == "__main__":
    main()
