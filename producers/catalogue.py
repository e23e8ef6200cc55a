"""What the shop of the generator sells and who visits it: categories, brands, prices, locales, devices, campaigns.

Prices are in US dollars. Weights are shares of traffic; only their ratio counts.
"""

from typing import NamedTuple


class Shelf(NamedTuple):
    """A subcategory: its nouns, its brands and the range its prices come from."""

    category: str
    subcategory: str
    nouns: tuple[str, ...]
    brands: tuple[str, ...]
    lowest: float
    highest: float


SHELVES = (
    Shelf("Electronics", "Smartphones", ("Phone", "Smartphone 5G", "Phone Mini"), ("Samsung", "Apple", "Xiaomi", "Google"), 149, 1299),
    Shelf("Electronics", "Laptops", ("Ultrabook 14", "Notebook 15", "Gaming Laptop"), ("Lenovo", "Dell", "HP", "Asus", "Acer"), 379, 2499),
    Shelf("Electronics", "Headphones", ("Headphones", "Earbuds", "Headset"), ("Sony", "Bose", "JBL", "Sennheiser"), 19, 399),
    Shelf("Electronics", "Televisions", ("LED TV 43", "OLED TV 55", "QLED TV 65"), ("LG", "Samsung", "TCL", "Philips"), 229, 2199),
    Shelf("Home", "Kitchen", ("Frying Pan", "Knife Set", "Kettle", "Blender"), ("Tefal", "WMF", "KitchenAid", "Bosch"), 15, 349),
    Shelf("Home", "Bedding", ("Duvet", "Pillow", "Bed Linen", "Mattress Topper"), ("Ikea", "Tempur", "Casper"), 12, 289),
    Shelf("Home", "Lighting", ("Desk Lamp", "Floor Lamp", "LED Bulb Pack"), ("Philips", "Osram", "Ikea"), 8, 179),
    Shelf("Fashion", "Shoes", ("Running Shoe", "Sneaker", "Hiking Boot", "Sandal"), ("Nike", "Adidas", "Puma", "Salomon"), 35, 220),
    Shelf("Fashion", "Clothing", ("T-Shirt", "Jeans", "Hoodie", "Rain Jacket"), ("Levi's", "Uniqlo", "Patagonia", "H&M"), 9, 249),
    Shelf("Fashion", "Bags", ("Backpack", "Tote Bag", "Suitcase"), ("Samsonite", "Eastpak", "Herschel"), 25, 320),
    Shelf("Beauty", "Skin Care", ("Face Cream", "Sunscreen SPF 50", "Serum"), ("Nivea", "L'Oréal", "La Roche-Posay"), 6, 69),
    Shelf("Beauty", "Fragrance", ("Eau de Parfum", "Eau de Toilette"), ("Chanel", "Dior", "Hugo Boss"), 29, 165),
    Shelf("Sports", "Fitness", ("Yoga Mat", "Dumbbell Set", "Resistance Bands"), ("Reebok", "Decathlon", "Adidas"), 9, 199),
    Shelf("Sports", "Cycling", ("Helmet", "Bike Light", "City Bike"), ("Giro", "Trek", "Shimano"), 14, 899),
    Shelf("Toys", "Building Sets", ("Space Station", "Fire Engine", "Castle"), ("Lego", "Playmobil"), 12, 249),
    Shelf("Toys", "Board Games", ("Strategy Game", "Card Game", "Puzzle 1000"), ("Ravensburger", "Hasbro", "Asmodee"), 8, 79),
    Shelf("Grocery", "Coffee", ("Espresso Beans 1 kg", "Ground Coffee 500 g"), ("Lavazza", "Illy", "Segafredo"), 5, 38),
    Shelf("Books", "Fiction", ("Novel", "Crime Novel", "Short Stories"), ("Penguin", "Hanser", "Gallimard"), 6, 32),
)
ADJECTIVES = ("Classic", "Pro", "Eco", "Light", "Urban", "Premium", "Compact", "Active", "Everyday", "Signature")

#: Faker locales of the users, with their share.
LOCALES = {
    "en_US": 30,
    "de_DE": 10,
    "en_GB": 9,
    "fr_FR": 8,
    "pt_BR": 7,
    "en_IN": 7,
    "ja_JP": 5,
    "es_ES": 4,
    "it_IT": 4,
    "en_CA": 3,
    "es_MX": 3,
    "pl_PL": 2,
    "nl_BE": 2,
    "vi_VN": 2,
    "ko_KR": 2,
    "sv_SE": 1,
}


class Client(NamedTuple):
    """A device with its browser, and its share of the traffic."""

    type: str
    os: str
    browser: str
    user_agent: str
    weight: int


_CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {_CHROMIUM}"
CLIENTS = (
    Client("mobile", "Android", "Chrome", f"{_ANDROID} Chrome/138.0.0.0 Mobile Safari/537.36", 30),
    Client("mobile", "iOS", "Safari", f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 22),
    Client("desktop", "Windows", "Chrome", f"{_WINDOWS}) {_CHROMIUM} Chrome/138.0.0.0 Safari/537.36", 20),
    Client("desktop", "Windows", "Edge", f"{_WINDOWS}) {_CHROMIUM} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0", 6),
    Client("desktop", "Windows", "Firefox", f"{_WINDOWS}; rv:140.0) Gecko/20100101 Firefox/140.0", 4),
    Client("desktop", "macOS", "Safari", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15", 7),
    Client("desktop", "Linux", "Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 2),
    Client("tablet", "iPadOS", "Safari", f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 5),
    Client("mobile", "Android", "Samsung Internet", f"{_ANDROID} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", 4),
)


class Arrival(NamedTuple):
    """How a visitor came to the shop."""

    referrer: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    weight: int


ARRIVALS = (
    Arrival(None, None, None, None, 38),
    Arrival("https://www.google.com/", None, None, None, 26),
    Arrival("https://www.google.com/", "google", "cpc", "brand", 10),
    Arrival("https://www.bing.com/", None, None, None, 4),
    Arrival("https://www.instagram.com/", "instagram", "social", "summer_sale", 7),
    Arrival("https://www.facebook.com/", "facebook", "social", "retargeting", 5),
    Arrival(None, "newsletter", "email", "weekly_deals", 8),
    Arrival("https://www.youtube.com/", "youtube", "video", "product_reviews", 2),
)

PAYMENT_METHODS = {"credit_card": 48, "paypal": 26, "apple_pay": 11, "google_pay": 6, "bank_transfer": 5, "klarna": 4}
#: HTTP status, code, message, share.
ERRORS = (
    (500, "INTERNAL_ERROR", "The service met an unexpected condition", 20),
    (502, "BAD_GATEWAY", "The upstream service gave an invalid response", 10),
    (503, "SERVICE_UNAVAILABLE", "The service is overloaded", 15),
    (504, "GATEWAY_TIMEOUT", "The upstream service did not answer in time", 15),
    (404, "PRODUCT_NOT_FOUND", "The product is no longer in the shop", 25),
    (429, "RATE_LIMITED", "Too many requests", 15),
)
DECLINES = (
    ("CARD_DECLINED", "The issuer declined the card", 45),
    ("INSUFFICIENT_FUNDS", "The account does not cover the amount", 30),
    ("PROVIDER_TIMEOUT", "The payment provider did not answer in time", 15),
    ("THREE_DS_FAILED", "The customer could not be authenticated", 10),
)
