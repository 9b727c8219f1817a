"""The colours of the pictures: Okabe and Ito's (2008), told apart by colour-blind readers too."""

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
PALETTE = [BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", VERMILION, "#000000"]
