"""The words that synthetic rows are made of. Nobody real is in them; codes are public domain or invented."""

from __future__ import annotations


def words_of(text: str, by: str | None = None) -> tuple[str, ...]:
    """The words of a text, between blanks or whatever else stands between them."""
    return tuple(text.split(by))


FEMALE = words_of(
    "Abigail Ada Alma Amelia Anita Beatrix Bianca Celia Clara Daphne Delia Edith Elena Esther Farah Fiona Flora "
    "Gemma Greta Hana Hazel Imani Ines Ivy Joan Josefina June Keiko Lena Lucia Mabel Mei Mira Nadia Nora Olive "
    "Paloma Petra Priya Rosa Ruth Sabine Salma Selma Talia Thea Uma Vera Willa Yara Zora"
)
MALE = words_of(
    "Aaron Abel Adil Alvin Andre Basil Bruno Caleb Cyrus Dario Desmond Edgar Elias Emil Ezra Felix Floyd Gavin "
    "Hector Hugo Ibrahim Igor Ivan Jasper Joel Jorge Kenji Leon Lionel Luis Marcus Milo Nasir Niall Omar Oscar "
    "Otto Pablo Ravi Rex Ruben Silas Soren Tariq Theo Tomas Ugo Victor Wade Yusuf Zane"
)
LAST = words_of(
    "Abbott Acosta Ahmed Alder Appleby Arroyo Ashford Atwood Bahr Bancroft Barlow Becker Benitez Birch Blackwood "
    "Bolton Bright Brook Burke Cabrera Calloway Carver Castell Chandra Chen Clearwater Coles Cortez Crane Dalton "
    "Delacruz Dobbs Donovan Drake Dubois Eastman Ebert Egan Ellery Espinosa Fairchild Farrow Fenwick Ferro Fields "
    "Fontaine Frost Galloway Garza Gentry Gill Granger Greenwood Gupta Haddad Hale Harrow Hayward Heller Hobbs "
    "Holloway Hsu Ibarra Ingram Ito Jamison Jansen Jimenez Kane Keller Khan Kimura Kirby Kowalski Lachance Lambert "
    "Larkspur Lim Lockwood Lozano Mackey Maddox Marlow Mbeki McAllister Mendez Merritt Moreau Moss Nakamura "
    "Navarro Newell Nguyen Norwood Oakes Obi Okafor Olsen Ortega Osborne Pace Padilla Park Patel Pemberton Pike "
    "Quigley Quintero Rahman Ramsey Reed Ridley Rinaldi Rowan Rutledge Salazar Santos Sato Schaefer Sharpe Silva "
    "Singh Sloane Solis Stone Sutter Tanaka Thorne Tran Trujillo Underhill Vance Vargas Vasquez Vaughn Voss Walden "
    "Ward Weber Whitlock Winslow Wolfe Wu Yamada Yates Yilmaz Zamora Ziegler"
)
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
STREETS = tuple(
    f"{name} {kind}"
    for kind in ("Street", "Avenue", "Lane", "Road", "Court")
    for name in words_of(
        "Acorn Bramble Cedar Copper Dogwood Falcon Harvest Juniper Larch Meadow Mill Orchard Quarry Sparrow Willow"
    )
)
CITIES = tuple(
    first + last
    for last in ("ford", "dale", "ville", "port", "field", " Springs")
    for first in words_of("Alder Amber Bell Clear Elm Fair Gold Haven Lark Maple North Pine Silver Stone West Wren")
)
# USPS code, people in 100,000 (2020 census, rounded), a range of the state's three-digit ZIP codes, an area code
STATES = tuple(
    (row[0], int(row[1]), int(row[2]), int(row[3]), row[4])
    for row in map(
        str.split,
        words_of(
            "AL 50 350 369 205|AK 7 995 999 907|AZ 72 850 857 602|AR 30 716 729 501|CA 395 900 961 916|"
            "CO 58 800 816 303|CT 36 060 069 203|DE 10 197 199 302|DC 7 200 200 202|FL 215 320 339 305|"
            "GA 107 300 319 404|HI 15 967 968 808|ID 18 832 838 208|IL 128 600 629 312|IN 68 460 479 317|"
            "IA 32 500 516 515|KS 29 660 679 316|KY 45 400 418 502|LA 47 700 714 504|ME 14 039 049 207|"
            "MD 62 206 219 410|MA 70 010 027 617|MI 101 480 499 313|MN 57 550 555 612|MS 30 386 397 601|"
            "MO 62 630 658 314|MT 11 590 599 406|NE 20 680 691 402|NV 31 889 891 702|NH 14 030 035 603|"
            "NJ 93 070 089 201|NM 21 870 877 505|NY 202 103 149 212|NC 104 270 289 704|ND 8 580 588 701|"
            "OH 118 430 458 614|OK 40 730 749 405|OR 42 970 979 503|PA 130 150 196 215|RI 11 028 029 401|"
            "SC 51 290 299 803|SD 9 570 577 605|TN 69 370 385 615|TX 291 750 799 512|UT 33 840 847 801|"
            "VT 6 050 058 802|VA 86 220 246 804|WA 77 980 994 206|WV 18 247 268 304|WI 59 530 549 414|"
            "WY 6 820 820 307",
            "|",
        ),
    )
)
# Three-digit ZIP codes of 20,000 people or fewer (45 CFR 164.514(b)(2)(i)(B)), which releases must blank
SPARSE_ZIP3 = words_of("NH036 VT059 MN556 NE692 WY821 WY823 NM878 NM879 NM884 NV893")
MILITARY = ("APO AE 090", "APO AE 093", "FPO AP 966", "APO AP 962", "DPO AA 340")

DEPARTMENTS = words_of(  # the last two close on following days
    "Emergency|Internal Medicine|Cardiology|Pulmonology|Endocrinology|Gastroenterology|Nephrology|Neurology|"
    "Orthopedics|Oncology|Pediatrics|Obstetrics|Psychiatry|Dermatology|Urology|Ophthalmology|Otolaryngology|"
    "Radiology|Sleep Medicine|Travel Clinic",
    "|",
)
CLOSING = 2
# Six codes a department, ICD-10-CM 2026 (CDC/NCHS, public domain), in the order of DEPARTMENTS
ICD_CODES = words_of(
    "R07.9 S09.90XA R55 S61.219A T78.40XA J06.9 I10 E78.5 R53.83 Z00.00 K59.00 M54.50 I25.10 I48.91 I50.9 I50.22 "
    "R00.2 I21.4 J44.9 J45.909 J18.9 R05.9 J84.10 J96.01 E11.9 E11.65 E11.22 E03.9 E66.9 E10.9 K21.9 K57.30 K29.70 "
    "K80.20 K50.90 R10.9 N18.30 N18.4 N18.6 N17.9 N04.9 I12.9 G43.909 G40.909 I63.9 G20.A1 G35.D R51.9 M17.11 "
    "M16.12 M25.561 S72.001A M75.41 M81.0 C50.911 C34.90 C18.9 C61 D63.0 Z51.11 J02.9 H66.90 R50.9 Z00.129 L20.9 "
    "J21.9 O80 O34.211 Z34.90 N92.0 O14.90 N80.9 F32.A F33.1 F41.1 F20.9 F31.9 F10.20 L40.0 L70.0 L30.9 C44.91 "
    "L03.90 B07.9 N40.1 N20.0 N39.0 R31.9 N32.81 R33.9 H25.9 H40.9 H35.30 E11.319 H04.129 H52.4 J32.9 H90.3 J34.2 "
    "H61.20 R42 J35.1 R91.8 R93.89 Z12.31 R92.8 M51.360 N63.0 G47.33 G47.00 G47.30 G47.9 R06.83 G25.81 Z71.84 Z23 "
    "A09 B54 Z20.3 R19.7"
)
ICD_EACH = 6
BAD_ICD_CODES = ("I10.55", "X00.999", "E11.ZZ", "Q99.77", "R10.999", "M99.999A")  # none is in ICD-10-CM
# Invented codes, nineteen a department, from numbers that the AMA assigns to nothing; the first begin with zeros
PROCEDURES = tuple(f"{number:05}" for number in (*range(1, 81), *range(99700, 100000)))
PROCEDURES_EACH = 19

INSURERS = ("Harborline Health", "Northgate Mutual", "Bluestem Care", "Summit Ridge Health")  # invented
PAYERS = ("Medicare", "Medicaid", *INSURERS, "Self-Pay")
SELF_PAY = len(PAYERS) - 1
LINES = ("Medicare", "Medicaid", "Commercial", "Self-Pay")  # of business
PAYER_TYPES = ("Government", "Private")
AMOUNT_TYPES = ("Medicare", "Medicaid", "Insurance", "Self-pay", "Co-pay")
STATUSES = ("Pending", "Approved", "Paid", "Denied", "Rejected")
ENCOUNTER_TYPES = ("Outpatient", "Routine Checkup", "Telemedicine", "Emergency", "Inpatient")
VISIT_TYPES = ("Routine", "Follow-up", "Consultation", "Emergency")
